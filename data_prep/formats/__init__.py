"""Documents, and the formats that hold them."""
