"""What is charged of how a process ended while a fault attended to it."""

import signal

import pytest

from integration.faults.endings import charge_deaths, charge_stops


@pytest.mark.parametrize("disturbed", [[], ["kafka"]])
def test_a_stop_in_good_order_and_one_before_there_was_anything_to_stop_are_no_charge(disturbed: list[str]) -> None:
    assert charge_stops({"worker-0": 0, "edge-0": 0, "worker-1": -signal.SIGTERM}, disturbed) == []


@pytest.mark.parametrize("disturbed", [[], ["kafka"]])
def test_who_had_to_be_killed_is_charged_whatever_was_away(disturbed: list[str]) -> None:
    codes = {"edge-0": -signal.SIGKILL, "worker-0": 0}
    assert charge_stops(codes, disturbed) == ["edge-0 was told to end, and had to be killed"]


def test_a_worker_may_give_up_its_stop_for_a_service_alone() -> None:
    assert charge_stops({"worker-0": 70}, ["kafka"]) == []
    assert charge_stops({"worker-0": 70}, []) == ["worker-0 was told to end, and ended itself with 70"]


def test_of_those_that_a_point_may_kill_who_ended_otherwise_is_charged() -> None:
    codes = {"worker-0": None, "worker-1": -signal.SIGKILL, "worker-2": 70}
    assert charge_deaths(codes) == ["worker-2 ended with 70 while another was to die"]
