import pytest

from shared.channels.base import Button, ChannelHandlers, OutboundFile
from shared.channels.live import LiveMessage
from shared.channels.outbox import Outbox
from shared.channels.spool import MAX_TOTAL_BYTES, shown_name
from shared.errors import Invalid, Unavailable
from shared.lifecycle.backoff import Backoff
from shared.testing.channel_bed import Fault, MemoryChannel, channel_database, delivering

CHAT = "dc:7"


async def nobody(_message):
    raise AssertionError("nothing is expected here")


class Bed:
    """A platform, and outboxes that share one spool."""

    def __init__(self, folder):
        self.folder, self.spool = folder, folder / "spool"
        self.channel = MemoryChannel(ChannelHandlers(nobody))

    def outbox(self, db, tables, **more):
        quick = Backoff(base_s=0.001, ceiling_s=0.001)
        return Outbox(db, tables, lambda _chat: self.channel, backoff=quick, spool=self.spool, **more)

    def file(self, name, data=b"x"):
        path = self.folder / f"source-{name}"
        path.write_bytes(data)
        return OutboundFile(name, path)

    @property
    def copies(self):
        return sorted(self.spool.iterdir()) if self.spool.is_dir() else []

    @property
    def shown(self):
        return [(shown.text, list(shown.files)) for shown in self.channel.shown]


@pytest.fixture
def bed(tmp_path):
    return Bed(tmp_path)


async def test_a_file_is_copied_before_it_is_promised_and_the_copy_goes_once_it_is_delivered(tmp_path, bed):
    async with channel_database(tmp_path) as (db, tables):
        outbox = bed.outbox(db, tables)
        source = bed.file("report.csv", b"a,b")
        (row,) = await outbox.post("run_1", CHAT, "here", files=(source,))
        source.path.unlink()
        assert [copy.read_bytes() for copy in bed.copies] == [b"a,b"]
        assert (row.files[0].name, row.files[0].size_bytes) == ("report.csv", 3)
        async with delivering(outbox):
            await outbox.deliver("run_1", timeout_s=5)
    assert bed.shown == [("here", [("report.csv", b"a,b")])]
    assert bed.copies == []


async def test_files_come_with_the_last_part_of_a_long_text_or_alone(tmp_path, bed):
    async with channel_database(tmp_path) as (db, tables), delivering(bed.outbox(db, tables)) as outbox:
        button = (Button("a", "A"),)
        long = await outbox.post("run_1", CHAT, "word " * 900, files=(bed.file("a"), bed.file("b")), buttons=button)
        await outbox.post("run_2", CHAT, "", files=(bed.file("c"),))
        assert await outbox.flush(5)
        assert len(long) == 3
        assert (await outbox.rows("run_2"))[0].state == "sent"
    assert [[name for name, _ in files] for _, files in bed.shown] == [[], [], ["a", "b"], ["c"]]
    assert bed.shown[-1][0] == ""


async def test_what_a_crash_left_is_sent_by_the_next_process_and_orphans_are_swept(tmp_path, bed):
    async with channel_database(tmp_path) as (db, tables):
        await bed.outbox(db, tables).post("run_1", CHAT, "here", files=(bed.file("kept.txt"),))
    (bed.spool / "file_orphan").write_bytes(b"a crash before the row")
    async with channel_database(tmp_path) as (db, tables), delivering(bed.outbox(db, tables)) as outbox:
        await outbox.deliver("run_1", timeout_s=5)
    assert bed.shown == [("here", [("kept.txt", b"x")])]
    assert bed.copies == []


async def test_a_retold_answer_keeps_the_files_of_the_first_telling(tmp_path, bed):
    async with channel_database(tmp_path) as (db, tables):
        outbox = bed.outbox(db, tables)
        await outbox.post("run_1", CHAT, "here", files=(bed.file("first"),))
        (row,) = await outbox.post("run_1", CHAT, "there", files=(bed.file("second"), bed.file("third")))
        assert [file.name for file in row.files] == ["first"]
        assert len(bed.copies) == 1


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("text", ["here", ""])
async def test_a_lost_answer_gives_one_message_with_its_files(tmp_path, bed, applied, text):
    bed.channel.faults = [Fault("send", Unavailable("cut"), applied=applied)]
    async with channel_database(tmp_path) as (db, tables), delivering(bed.outbox(db, tables)) as outbox:
        await outbox.post("run_1", CHAT, text, files=(bed.file("a"),))
        await outbox.deliver("run_1", timeout_s=5)
    assert bed.shown == [(text, [("a", b"x")])]


async def test_after_the_nonce_window_a_bare_file_is_found_and_not_sent_again(tmp_path, bed):
    bed.channel = MemoryChannel(ChannelHandlers(nobody), nonce_memory_s=0)
    bed.channel.faults = [Fault("send", Unavailable("cut"), applied=True)]
    async with (
        channel_database(tmp_path) as (db, tables),
        delivering(bed.outbox(db, tables, nonce_window_s=0)) as outbox,
    ):
        await outbox.post("run_1", CHAT, "", files=(bed.file("a"),))
        await outbox.deliver("run_1", timeout_s=5)
    assert bed.shown == [("", [("a", b"x")])]


async def test_a_lost_copy_is_a_failure_with_its_reason_and_holds_nothing_up(tmp_path, bed):
    async with channel_database(tmp_path) as (db, tables):
        outbox = bed.outbox(db, tables)
        await outbox.post("run_1", CHAT, "here", files=(bed.file("gone.txt"),))
        bed.copies[0].unlink()
        await outbox.post("run_2", CHAT, "next")
        async with delivering(outbox):
            with pytest.raises(Unavailable, match=r"the file gone\.txt is gone"):
                await outbox.deliver("run_1", timeout_s=5)
            await outbox.deliver("run_2", timeout_s=5)
        assert [row.state for row in await outbox.dead_letters()] == ["failed"]
    assert bed.shown == [("next", [])]


async def test_an_edit_leaves_the_files_alone(tmp_path, bed):
    async with channel_database(tmp_path) as (db, tables), delivering(bed.outbox(db, tables)) as outbox:
        await outbox.post("run_1", CHAT, "draft", files=(bed.file("a"),))
        await outbox.deliver("run_1", timeout_s=5)
        async with LiveMessage(outbox, "run_1", CHAT) as live:
            await live.finish("final")
        await outbox.flush(5)
    assert bed.shown == [("final", [("a", b"x")])]


async def test_what_cannot_be_sent_is_refused_at_once_and_leaves_nothing(tmp_path, bed):
    half = bed.file("half")
    with half.path.open("r+b") as file:
        file.truncate(MAX_TOTAL_BYTES // 3 + 1)
    bad = {
        "11 files": tuple(bed.file(f"{n}") for n in range(11)),
        "together": (half, half, half),
        "is gone": (bed.file("fine"), OutboundFile("no.txt", tmp_path / "no")),
        "not an ordinary file": (OutboundFile("folder", tmp_path),),
    }
    async with channel_database(tmp_path) as (db, tables):
        outbox = bed.outbox(db, tables)
        for words, files in bad.items():
            with pytest.raises(Invalid, match=words):
                await outbox.post("run_1", CHAT, "here", files=files)
        assert await outbox.rows("run_1") == []
        with pytest.raises(Invalid, match="cannot be sent from here"):
            await Outbox(db, tables, lambda _chat: bed.channel).post("run_1", CHAT, "", files=(half,))
    assert bed.copies == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\secret\\a.txt", "a.txt"),
        ("a\nb\u202e.txt", "a_b_.txt"),
        ("", "file"),
        ("보고서.pdf", "보고서.pdf"),
        ("x" * 300 + ".tar", "x" * 116 + ".tar"),
    ],
)
def test_a_shown_name_is_one_plain_step(name, shown):
    assert shown_name(name) == shown
