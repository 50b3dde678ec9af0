"""The service in Django: settings, addresses, views and middleware, each in its own file."""
