"""Published models and data sets: where they are, how they are checked."""
