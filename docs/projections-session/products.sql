SELECT
    t1.id,
    t1.name,
    t1.description,
    t1.released_on,
    (SELECT t2.name FROM shop.brands t2 WHERE t2.id = t1.brand_id) AS brand,
    (SELECT coalesce(json_agg(json_build_object(
            'name', t3.name,
            'parent', (SELECT p.name FROM shop.categories p WHERE p.id = t3.parent_id)
        ) ORDER BY t3.id), '[]')
        FROM shop.categories t3 JOIN shop.product_categories t4 ON t3.id = t4.category_id
        WHERE t4.product_id = t1.id) AS categories,
    (SELECT coalesce(json_agg(json_build_object(
            'sku', t5.sku,
            'color', t5.color,
            'size', t5.size,
            'stock', t5.stock,
            'prices', (SELECT coalesce(json_agg(json_build_object(
                    'currency', t6.currency,
                    'amount', t6.amount
                ) ORDER BY t6.variant_id, t6.currency), '[]')
                FROM shop.prices t6
                WHERE t6.variant_id = t5.id)
        ) ORDER BY t5.id), '[]')
        FROM shop.variants t5
        WHERE t5.product_id = t1.id) AS variants,
    (SELECT coalesce(json_agg(json_build_object(
            'stars', t7.stars,
            'body', t7.body,
            'customer', (SELECT t8.name FROM shop.customers t8 WHERE t8.id = t7.customer_id)
        ) ORDER BY t7.id), '[]')
        FROM shop.reviews t7
        WHERE t7.product_id = t1.id) AS reviews
FROM shop.products t1
WHERE t1.active
