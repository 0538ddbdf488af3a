"""Wire formats of model providers: requests are built from plain values, answers are parsed into typed events.

No module here does I/O: bytes come from whoever holds the connection.
"""

from shared.providers.events import (
    Completed,
    Failed,
    FailureKind,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolSpec,
    Usage,
)

__all__ = [
    "Completed",
    "Failed",
    "FailureKind",
    "ProviderEvent",
    "ReasoningDelta",
    "TextDelta",
    "ToolCall",
    "ToolSpec",
    "Usage",
]
