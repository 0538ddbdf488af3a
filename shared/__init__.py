"""Libraries that know nothing of any tenant; everything above may import them."""
