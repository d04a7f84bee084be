"""A web application around the models."""
