"""A small shop: pages, carts and visitors who log in and out."""
