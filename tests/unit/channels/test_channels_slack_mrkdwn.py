"""Slack's markup, both ways."""

import pytest

from shared.channels.slack.mrkdwn import from_mrkdwn, to_mrkdwn


@pytest.mark.parametrize(
    ("markdown", "mrkdwn"),
    [
        ("plain", "plain"),
        ("a < b && c > d", "a &lt; b &amp;&amp; c &gt; d"),
        ("**bold** and *slanted* and ~~gone~~", "*bold* and _slanted_ and ~gone~"),
        ("__bold__ but snake__case__name", "*bold* but snake__case__name"),
        ("***both***", "*_both_*"),
        ("**bold with *slanted* inside**", "*bold with _slanted_ inside*"),
        ("2 * 3 * 4 and a*b*c", "2 * 3 * 4 and a*b*c"),
        ("**이름**은 **J**입니다", "*이름*\u200b은 *J*\u200b입니다"),
        ("# Title\ntext\n## The **second** ##", "*Title*\ntext\n*The second*"),
        ("- one\n  * two\n+ three", "• one\n  • two\n• three"),
        ("> quoted **loud**\nnot", "> quoted *loud*\nnot"),
        ("[docs](https://example.org/a_b?x=1&y=2)", "<https://example.org/a_b?x=1&amp;y=2|docs>"),
        ("![picture](https://example.org/p.png)", "<https://example.org/p.png|picture>"),
        ("<https://example.org>", "<https://example.org>"),
        ("see https://example.org/*x*/__y__", "see https://example.org/*x*/__y__"),
        ("[wiki](https://example.org/A_(b))", "<https://example.org/A_(b)|wiki>"),
        ("[run](javascript:alert(1))", "[run](javascript:alert(1))"),
        ("`**code** <x>`", "`**code** &lt;x&gt;`"),
        ("```py\nx = a < b  # **no**\n```\n**yes**", "```\nx = a &lt; b  # **no**\n```\n*yes*"),
        ("```\nopen", "```\nopen"),
    ],
)
def test_markdown_becomes_slacks_markup(markdown, mrkdwn):
    assert to_mrkdwn(markdown) == mrkdwn


@pytest.mark.parametrize("line", ["# a" + " " * 100_000 + "b", "# a" + " #" * 50_000 + "b", "#" * 100_000])
def test_a_long_line_is_read_once_not_once_for_each_blank(line):
    """Were it not, this would take hours, and nobody would be answered meanwhile."""
    assert to_mrkdwn(line)


@pytest.mark.parametrize(
    "text",
    [
        "<!channel>",
        "<!here|here>",
        "<@U024BE7LH>",
        "<#C024BE7LR>",
        "<!subteam^SAZ94GDB8>",
        "[x](<@U1>)",
        "[<!channel>](https://example.org)",
        "<https://example.org|<!channel>>",
        "<mailto:a@example.org|<@U1>>",
        "**<!everyone>**",
        "> <!here>",
        "```\n<!channel>\n```",
    ],
)
def test_what_would_mention_somebody_is_only_text(text):
    wire = to_mrkdwn(text)
    assert "<!" not in wire
    assert "<@" not in wire
    assert "<#" not in wire


@pytest.mark.parametrize(
    ("mrkdwn", "text"),
    [
        ("hello <@U1>, meet <@U2|bob> and <@U3>", "hello @ann, meet @bob and @unknown-user"),
        ("in <#C1> or <#C2|lab>, <#C3>", "in #general or #lab, #unknown-channel"),
        ("<!here> <!channel|channel> <!subteam^S1|@team> <!subteam^S2>", "@here @channel @team @unknown-group"),
        ("<!date^1392734382^{date}|18 February>", "18 February"),
        ("<https://example.org> <https://example.org|example.org>", "https://example.org https://example.org"),
        (
            "<https://example.org|docs> <mailto:a@example.org|a@example.org>",
            "[docs](https://example.org) a@example.org",
        ),
        ("1 &lt; 2 &amp;&amp; &amp;lt;", "1 < 2 && &lt;"),
    ],
)
def test_slacks_markup_is_read(mrkdwn, text):
    assert from_mrkdwn(mrkdwn, {"U1": "ann"}, {"C1": "general"}) == text
