"""What a browser would say of a site's certificate today, and why."""
