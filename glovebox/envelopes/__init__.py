"""Envelopes: credentials sealed to one task of one scan (docs/envelopes.md).

The inlet makes a key pair and shows its public half (`sealing.KeyPair`), `redeem` seals (`sealing.seal`)
the message of `credentials`.  Nothing here stores, logs or sends anything.
"""
