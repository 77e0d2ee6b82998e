SELECT
    products.id,
    products.name,
    products.description,
    products.released_on,
    (SELECT brands.name FROM shop.brands WHERE brands.id = products.brand_id) AS brand,
    (SELECT coalesce(json_agg(json_build_object(
            'name', categories.name,
            'parent', (SELECT p.name FROM shop.categories p WHERE p.id = categories.parent_id)
        ) ORDER BY categories.id), '[]')
        FROM shop.categories JOIN shop.product_categories ON categories.id = product_categories.category_id
        WHERE product_categories.product_id = products.id) AS categories,
    (SELECT coalesce(json_agg(json_build_object(
            'sku', variants.sku,
            'color', variants.color,
            'size', variants.size,
            'stock', variants.stock,
            'prices', (SELECT coalesce(json_agg(json_build_object(
                    'currency', prices.currency,
                    'amount', prices.amount
                ) ORDER BY prices.variant_id, prices.currency), '[]')
                FROM shop.prices
                WHERE prices.variant_id = variants.id)
        ) ORDER BY variants.id), '[]')
        FROM shop.variants
        WHERE variants.product_id = products.id) AS variants,
    (SELECT coalesce(json_agg(json_build_object(
            'stars', reviews.stars,
            'body', reviews.body,
            'customer', (SELECT customers.name FROM shop.customers WHERE customers.id = reviews.customer_id)
        ) ORDER BY reviews.id), '[]')
        FROM shop.reviews
        WHERE reviews.product_id = products.id) AS reviews
FROM shop.products
WHERE products.active
