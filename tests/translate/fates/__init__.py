"""The table of fates, tried: small worlds in which one field changes."""
