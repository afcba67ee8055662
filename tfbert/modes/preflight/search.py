"""Finding the largest batch that fits with few compilations."""

# The most examples per chip that are tried.
MOST_EXAMPLES = 4096


def search(compile_at, first, hbm_bytes):
    """Compiles at more sizes until the largest that fits, and a next one that does not, are known.

    Memory is nearly affine in the batch size: the line through two programs predicts the largest, and two more, at that
    size and the next one up, verify it.

    Args:
        compile_at: callable int -> Compiled.
        first: Compiled. The result that is known already.
        hbm_bytes: int. Memory of a chip.

    Returns:
        list of Compiled: all results, including `first`.
    """
    known = [first]
    while (size := _next_guess(known, hbm_bytes)) is not None:
        known.append(compile_at(size))
    return known


def bounds(known):
    """Returns (fits, fails), int: the largest size that fits (0: none), the smallest that does not (None: none)."""
    fits = max((compiled.examples for compiled in known if compiled.fits), default=0)
    return fits, min((compiled.examples for compiled in known if not compiled.fits), default=None)


def line(known):
    """Returns (intercept, slope), in bytes, of the line through the two largest programs that fit; None with fewer.

    Args:
        known: list of Compiled.
    """
    points = sorted({(compiled.examples, compiled.hbm_bytes) for compiled in known if compiled.fits})[-2:]
    if len(points) < 2:
        return None
    (x0, y0), (x1, y1) = points
    slope = (y1 - y0) / (x1 - x0)
    return y1 - slope * x1, slope


def next_size(size):
    """Returns the next size to try: powers of two up to 8, then multiples of 8; from 256, steps of about a 16th."""
    return max(1, 2 * size) if size < 8 else _grid(size + _grain(size))


def _next_guess(known, hbm_bytes):
    """Returns the size to try next, None when there is nothing left to find."""
    fits, fails = bounds(known)
    low, high = next_size(fits), min(MOST_EXAMPLES, (fails or MOST_EXAMPLES + 1) - 1)
    if low > high:
        return None
    return max(low, _grid(min(high, int(_predicted(known, hbm_bytes, low, high)))))


def _predicted(known, hbm_bytes, low, high):
    if len(known) > 6:  # apparently not a straight line
        return (low + high) / 2 if bounds(known)[1] else 2 * low
    through = line(known)
    if through is None:  # assumes that no memory is fixed: too few rather than too many
        counted = min((c for c in known if c.hbm_bytes), key=lambda c: (not c.fits, c.examples), default=None)
        return counted.examples * hbm_bytes / counted.hbm_bytes if counted else (low + high) / 2
    fixed, each = through
    return (hbm_bytes - fixed) / each if each > 0 else high


def _grid(size):
    return 2 ** (size.bit_length() - 1) if size < 8 else size - size % _grain(size)


def _grain(size):
    return 8 * max(1, size // 128)
