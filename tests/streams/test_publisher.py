"""Which partition an id goes to, and which records carry it. Confirmed writes: ``integration/test_publisher.py``."""

from streams.contract import MAX_ID, MAX_IDS, Created, PostId, decode_created, encode_created
from streams.publisher import MAX_RECORD_BYTES, Keyed, created_records, delays, partition_of


def test_an_id_goes_where_javas_clients_put_its_key() -> None:
    # Kafka's own values: org.apache.kafka.common.utils.UtilsTest has murmur2("21") == -973932308.
    positive = -973932308 & 0x7FFFFFFF
    for count in (1, 3, 8, 32):
        assert partition_of(PostId(21), range(count)) == positive % count


def test_one_id_has_its_key_and_several_share_a_record() -> None:
    assert created_records([PostId(7)], 2) == [Keyed(b"7", encode_created(Created([PostId(7)], 2)))]
    assert created_records([PostId(7), PostId(8)], 0) == [Keyed(None, b'{"ids":[7,8]}')]


def test_a_record_holds_no_more_ids_than_the_contract_allows() -> None:
    ids = [PostId(MAX_ID - number) for number in range(2 * MAX_IDS + 1)]
    records = created_records(ids, 1)
    assert [len(decode_created(value).ids) for _, value in records] == [MAX_IDS, MAX_IDS, 1]
    assert [post for _, value in records for post in decode_created(value).ids] == ids
    assert max(len(value) for _, value in records) < MAX_RECORD_BYTES


def test_new_attempts_come_soon_and_never_end() -> None:
    each = delays()
    assert [next(each) for _ in range(9)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
