"""The longest time in which a client was shown nothing although posts were announced all the while.

This module knows neither processes nor clocks.
"""

from itertools import pairwise

from integration.faults.observations import Observations, View


def longest_silence(seen: Observations) -> float:
    """Return it in seconds, faults and lost connections included, among the clients that see all and never leave.

    It is counted from the first announcement on, between two posts of one client.
    """
    return max((_longest(view, seen) for view in seen.views if not view.leaves and view.sees_everything), default=0.0)


def _longest(view: View, seen: Observations) -> float:
    first = min((one.due for one in seen.announced), default=0.0)
    shown = [max(first, arrival.at) for arrival in view.arrivals]
    return max((after - before for before, after in pairwise([first, *shown])), default=0.0)
