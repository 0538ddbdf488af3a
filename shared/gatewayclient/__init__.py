"""The typed client tenants use to talk to the gateway's socket: calls, model streams and worker streams."""

from shared.gatewayclient.client import GatewayClient, ModelResponse, ModelRoute
from shared.gatewayclient.models import (
    NoticeMessage,
    TenantStartup,
    WorkerEvent,
    WorkerInfo,
    WorkerMount,
    WorkerRequest,
)
from shared.gatewayclient.stream import WorkerStream

__all__ = [
    "GatewayClient",
    "ModelResponse",
    "ModelRoute",
    "NoticeMessage",
    "TenantStartup",
    "WorkerEvent",
    "WorkerInfo",
    "WorkerMount",
    "WorkerRequest",
    "WorkerStream",
]
