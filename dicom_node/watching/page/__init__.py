"""The status page: where everything stands, in a browser, behind a login."""
