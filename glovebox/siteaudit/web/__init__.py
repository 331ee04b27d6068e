"""Visiting a site as a browser would, far enough to judge it: redirects, headers, cookies, the front page."""
