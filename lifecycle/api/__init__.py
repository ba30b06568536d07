"""REST of lifecycle, and what every REST endpoint shares: sign-in, errors, paging, idempotency, limits."""
