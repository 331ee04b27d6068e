"""What Squid asks before anything leaves: who is it (`verify_ticket`), and may this go (`judge_request`)."""
