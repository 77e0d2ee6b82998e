ALTER TABLE shop.products ALTER price TYPE numeric(12, 3);
