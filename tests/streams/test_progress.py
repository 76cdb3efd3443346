"""Progress and waiting are told apart, with a clock that the tests move."""

import pytest

from streams.progress import QUESTION_SECONDS, Progress, Waiting


class Clock:
    """Stands until a test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> Progress:
    return Progress(clock)


def test_without_work_nothing_is_stalled_or_waits(progress: Progress, clock: Clock) -> None:
    progress.stage("publish")
    clock.now = 1e6
    assert progress.stalled(1) is None
    assert progress.waiting == []


def test_work_that_is_silent_for_longer_than_the_patience_is_stalled(progress: Progress, clock: Clock) -> None:
    with progress.stage("publish").work() as work:
        clock.now = 10
        assert progress.stalled(10) is None
        work.progressed()
        clock.now = 20
        assert progress.stalled(10) is None
        clock.now = 21
        assert progress.stalled(10) == "stage publish has neither progressed nor waited for anything for 11 s"
    assert progress.stalled(10) is None


def test_of_several_works_the_most_silent_counts(progress: Progress, clock: Clock) -> None:
    stage = progress.stage("bridge")
    with stage.work():
        clock.now = 5
        with stage.work() as young:
            clock.now = 11
            young.progressed()
            assert stage.silent_seconds() == 11
        assert stage.silent_seconds() == 11


def test_work_that_waits_is_not_stalled_and_has_its_patience_anew_afterwards(progress: Progress, clock: Clock) -> None:
    with progress.stage("publish").work() as work:
        work.waits("kafka", "away")
        for second in range(0, 1000, 50):
            clock.now = second
            assert progress.stalled(10) is None
        assert progress.waiting == [Waiting("publish", "kafka", "away")]
        work.progressed()
        assert progress.waiting == []
        clock.now += 10
        assert progress.stalled(10) is None
        clock.now += 1
        assert progress.stalled(10) is not None


def test_a_question_under_way_waits_from_its_fifth_second_on(progress: Progress, clock: Clock) -> None:
    stage = progress.stage("look up")
    with stage.work() as work:
        with work.asks("database", "a statement is under way"):
            clock.now = QUESTION_SECONDS - 0.1
            assert progress.waiting == []
            assert stage.asked_seconds == pytest.approx(4.9)
            clock.now = QUESTION_SECONDS
            assert progress.waiting == [Waiting("look up", "database", "a statement is under way")]
            clock.now = 600
            assert progress.stalled(10) is None
        assert progress.waiting == []
        assert stage.asked_seconds == 0
        clock.now = 611
        assert progress.stalled(10) is not None


def test_a_reason_outlasts_the_next_question_until_the_work_progresses(progress: Progress, clock: Clock) -> None:
    with progress.stage("look up").work() as work:
        work.waits("database", "refused")
        with work.asks("database", "a statement is under way"):
            clock.now = 7
            assert progress.waiting == [Waiting("look up", "database", "refused")]
        work.progressed()
        assert progress.waiting == []


def test_what_a_work_waits_for_ends_with_it_whatever_ends_it(progress: Progress) -> None:
    def fails() -> None:
        with progress.stage("publish").work() as work:
            work.waits("kafka", "away")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert progress.waiting == []


def test_two_works_of_a_stage_that_wait_for_the_same_are_one_line(progress: Progress) -> None:
    stage = progress.stage("publish")
    with stage.work() as one, stage.work() as other:
        one.waits("kafka", "away")
        other.waits("kafka", "away")
        assert progress.waiting == [Waiting("publish", "kafka", "away")]


def test_progress_is_counted_with_the_work_that_is_open_and_that_ended(progress: Progress) -> None:
    stage = progress.stage("publish")
    with stage.work() as work:
        work.progressed()
        work.progressed()
        assert stage.progressed == 2
    assert stage.progressed == 3


def test_a_stages_name_is_its_own(progress: Progress) -> None:
    progress.stage("publish")
    with pytest.raises(ValueError, match="publish"):
        progress.stage("publish")
