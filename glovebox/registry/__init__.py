"""What may be scanned, whose it is, and for how long one may live with a finding."""
