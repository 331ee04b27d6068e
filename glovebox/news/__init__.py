"""What people are told of runs over accounts and repositories."""
