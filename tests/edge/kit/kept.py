"""What is freed by nothing but the end of its last reference."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def without_the_collector(*parts: type) -> Iterator[Callable[[], int]]:
    """Have nobody look for garbage meanwhile; yield what counts the new objects of these types that there are."""
    gc.collect()
    gc.disable()
    # What was there before is not looked at again: each look would take as long as the other tests have left objects.
    gc.freeze()
    try:
        yield lambda: sum(issubclass(type(each), parts) for each in gc.get_objects())
    finally:
        gc.unfreeze()
        gc.enable()
