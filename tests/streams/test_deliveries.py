"""What may be acknowledged: every confirmed delivery once, and none before it is confirmed."""

from hypothesis import given
from hypothesis import strategies as st

from streams.contract import PostId, dead_letter
from streams.deliveries import MAX_LETTERS_BYTES, Acknowledgement, Deliveries

POISON = dead_letter("not_an_id", "why", b"poison")


def deliveries(kinds: str) -> Deliveries:
    """Return open deliveries with tags from 1 on: ``p`` is a post, ``l`` a dead letter."""
    open_ones = Deliveries()
    for tag, kind in enumerate(kinds, 1):
        open_ones.add(tag, PostId(100 + tag) if kind == "p" else POISON)
    return open_ones


def test_posts_and_letters_are_taken_apart_each_in_their_order() -> None:
    open_ones = deliveries("plpl")
    assert open_ones.posts == 2
    assert open_ones.take_posts() == ([1, 3], [101, 103])
    assert open_ones.take_letters() == ([2, 4], [POISON, POISON])
    assert (open_ones.posts, open_ones.open) == (0, 4)
    assert open_ones.take_letters() == ([], [])


def test_a_group_of_posts_is_acknowledged_with_one_word_where_no_letter_is_open() -> None:
    open_ones = deliveries("ppp")
    assert open_ones.confirm_posts(open_ones.take_posts().tags) == [Acknowledgement(3, multiple=True)]
    assert open_ones.open == 0


def test_an_open_letter_is_not_acknowledged_with_the_posts_around_it_and_they_do_not_wait_for_it() -> None:
    open_ones = deliveries("pplpp")
    letters = open_ones.take_letters()
    assert open_ones.confirm_posts(open_ones.take_posts().tags) == [
        Acknowledgement(2, multiple=True),
        Acknowledgement(4, multiple=False),
        Acknowledgement(5, multiple=False),
    ]
    assert open_ones.confirm_letters(letters.tags) == [Acknowledgement(3, multiple=False)]
    assert open_ones.open == 0


def test_a_letter_that_is_first_keeps_no_post_back() -> None:
    open_ones = deliveries("lp")
    assert open_ones.confirm_posts(open_ones.take_posts().tags) == [Acknowledgement(2, multiple=False)]


def test_a_letter_that_is_confirmed_before_the_posts_around_it_is_acknowledged_alone() -> None:
    open_ones = deliveries("plp")
    assert open_ones.confirm_letters(open_ones.take_letters().tags) == [Acknowledgement(2, multiple=False)]
    assert open_ones.confirm_posts(open_ones.take_posts().tags) == [Acknowledgement(3, multiple=True)]


def test_a_group_of_letters_is_bounded_in_bytes() -> None:
    """Or has one: the first may be of any size."""
    open_ones = Deliveries()
    bodies = [b"x" * (64 * 1024)] * 20 + [b"y"]
    for tag, body in enumerate(bodies, 1):
        open_ones.add(tag, dead_letter("not_an_id", "why", body))
    sizes = []
    while (group := open_ones.take_letters()).tags:
        sizes.append(sum(len(letter.body) for letter in group.items))
    assert sum(sizes) == sum(map(len, bodies))
    assert max(sizes) == MAX_LETTERS_BYTES
    assert len(sizes) == 3


@given(st.text("pl", max_size=30), st.data())
def test_whatever_the_order_of_confirmations_each_delivery_is_acknowledged_once_and_after_its_own(
    kinds: str, data: st.DataObject
) -> None:
    """By a RabbitMQ that closes the channel for a tag that is not open, and takes all before a cumulative one."""
    open_ones = Deliveries()
    unacknowledged: set[int] = set()
    confirmed: set[int] = set()
    under_way = {"p": [], "l": []}  # type: dict[str, list[int]]
    steps = [*kinds]
    tag = 0
    while steps or unacknowledged:
        able = ["deliver"] * bool(steps)
        able += [f"take {kind}" for kind in "pl" if not under_way[kind]]
        able += [f"confirm {kind}" for kind in "pl" if under_way[kind]]
        match data.draw(st.sampled_from(able)).split():
            case ["deliver"]:
                tag += 1
                open_ones.add(tag, PostId(tag) if steps.pop(0) == "p" else POISON)
                unacknowledged.add(tag)
            case ["take", kind]:
                group = open_ones.take_posts() if kind == "p" else open_ones.take_letters()
                under_way[kind] = list(group.tags)
            case ["confirm", kind]:
                tags, under_way[kind] = under_way[kind], []
                confirmed.update(tags)
                confirm = open_ones.confirm_posts if kind == "p" else open_ones.confirm_letters
                for acknowledgement in confirm(tags):
                    assert acknowledgement.tag in unacknowledged
                    told = {acknowledgement.tag}
                    if acknowledgement.multiple:
                        told = {one for one in unacknowledged if one <= acknowledgement.tag}
                    assert told <= confirmed
                    unacknowledged -= told
                assert not confirmed & unacknowledged
        assert open_ones.open == len(unacknowledged)
