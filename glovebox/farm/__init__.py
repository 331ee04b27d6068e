"""A fleet of real servers on loopback, good ones and every kind of bad one, for the demo, tests and bench.

    with running_farm() as farm:
        async for record in audit_sites(farm.hosts, scan_date=..., settings=farm.settings): ...

Nothing here ever serves outside loopback, and nothing of it is part of a deployment.
"""
