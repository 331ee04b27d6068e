"""Well-known Diffie-Hellman primes, computed from the constants that define them."""

from __future__ import annotations

from functools import cache


@cache
def modp_prime(bits: int, offset: int) -> int:
    """2^bits − 2^(bits−64) − 1 + 2^64 · (⌊2^(bits−130) · π⌋ + offset), the form of RFC 2409 and RFC 3526."""
    shift = bits - 130
    middle = (_pi(shift + 64) >> 64) + offset
    return (1 << bits) - (1 << (bits - 64)) - 1 + (middle << 64)


def oakley_1024() -> int:
    """The Second Oakley Group (RFC 2409, section 6.2): 1024 bits, too few since Logjam."""
    return modp_prime(1_024, 129_093)


def modp_2048() -> int:
    """Group 14 (RFC 3526, section 3)."""
    return modp_prime(2_048, 124_476)


def _pi(bits: int) -> int:
    """⌊2^bits · π⌋, give or take the last few bits, by Machin's formula."""
    one = 1 << bits
    return 4 * (4 * _arctan_of_inverse(5, one) - _arctan_of_inverse(239, one))


def _arctan_of_inverse(number: int, one: int) -> int:
    total = term = one // number
    divisor, sign = 3, -1
    while term:
        term //= number * number
        total += sign * (term // divisor)
        divisor, sign = divisor + 2, -sign
    return total
