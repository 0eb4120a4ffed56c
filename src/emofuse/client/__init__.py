"""A client of `emofuse serve`: media go there, timelines come back.

    from emofuse.client import Client

    client = Client("http://127.0.0.1:8000")
    timeline = client.analyze("interview.mp4", slot=1.0, weights={"face": 0.6, "speech": 0.4})

Nothing is analyzed here, and no model is loaded. What the server takes and tells is typed by
`emofuse.client.types`, which are generated from its OpenAPI.
"""

from .client import Client, Media
from .errors import ServerError
from .live import Packet, Picture, Sound
from .types import (
    AnalysisOptions,
    Choices,
    Health,
    Job,
    JobState,
    LiveEstimate,
    LiveMessage,
    Models,
    Observation,
)

__all__ = [
    "AnalysisOptions",
    "Choices",
    "Client",
    "Health",
    "Job",
    "JobState",
    "LiveEstimate",
    "LiveMessage",
    "Media",
    "Models",
    "Observation",
    "Packet",
    "Picture",
    "ServerError",
    "Sound",
]
