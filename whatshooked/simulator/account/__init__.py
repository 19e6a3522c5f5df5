"""Apps, tokens, WABAs, numbers and templates, as the set-up calls see them."""
