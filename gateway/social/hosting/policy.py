"""``[media]`` of policies/social.toml."""

from __future__ import annotations

from pydantic import Field

from shared.config.strict import Strict


class MediaPolicy(Strict):
    """Files that are handed over with a post, and what is looked at behind addresses.

    Attributes:
        public_base: address under which the networks reach `host` and `port` from outside, such as
            ``https://media.example.org``: a host name of its own without any login. Empty: no files are served.
        host: where the files' own listener listens.
        port: its port; 0 takes any free one.
        max_file_bytes: of one file that is handed over.
        max_video_bytes: of a video behind an address.
        max_files: files kept at once.
        max_total_bytes: of all files kept at once.
        link_hours: how long a network may fetch a file after its container was begun.
        fetches: requests for one file of one post.
    """

    public_base: str = Field(default="", pattern=r"^(https://[a-z0-9.:-]{1,200}|http://127\.0\.0\.1:[0-9]{1,5})?$")
    host: str = Field(default="127.0.0.1", pattern=r"^[0-9a-f.:]{2,45}$")
    port: int = Field(default=18790, ge=0, le=65535)
    max_file_bytes: int = Field(default=32 << 20, ge=1 << 10, le=100 << 20)
    max_video_bytes: int = Field(default=100 << 20, ge=1 << 10, le=1 << 30)
    max_files: int = Field(default=200, ge=1, le=10_000)
    max_total_bytes: int = Field(default=1 << 30, ge=1 << 20, le=100 << 30)
    link_hours: float = Field(default=2.0, gt=0, le=24)
    fetches: int = Field(default=20, ge=2, le=1000)
