"""What scanners found in targets, followed from one scan to the next."""
