"""The perimeter on one machine: network namespaces and nftables, rendered from the synthesized template."""
