"""Metrics for Prometheus; every server has a registry of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from .jobs.tasks import Facts

_REQUEST_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_ANALYSIS_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200)
_LATENCY_BUCKETS = (0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.3, 0.5, 1, 2)


@dataclass(slots=True)
class Metrics:
    """Counters, gauges and histograms; `docs/api.md` lists them."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    requests: Counter = field(init=False)
    request_seconds: Histogram = field(init=False)
    refused: Counter = field(init=False)
    jobs: Gauge = field(init=False)
    jobs_finished: Counter = field(init=False)
    analysis_seconds: Histogram = field(init=False)
    media_seconds: Counter = field(init=False)
    queue: Gauge = field(init=False)
    restarts: Counter = field(init=False)
    sessions: Gauge = field(init=False)
    frames: Counter = field(init=False)
    stream_latency: Histogram = field(init=False)

    def __post_init__(self) -> None:
        r = self.registry
        self.requests = Counter(
            "emofuse_http_requests", "Requests.", ["route", "method", "status"], registry=r
        )
        self.request_seconds = Histogram(
            "emofuse_http_seconds",
            "Time until a response ends.",
            ["route"],
            buckets=_REQUEST_BUCKETS,
            registry=r,
        )
        self.refused = Counter("emofuse_refused", "Requests refused.", ["code"], registry=r)
        self.jobs = Gauge("emofuse_jobs", "Stored jobs.", ["state"], registry=r)
        self.jobs_finished = Counter(
            "emofuse_jobs_finished", "Jobs that ended.", ["state"], registry=r
        )
        self.analysis_seconds = Histogram(
            "emofuse_analysis_seconds",
            "Time of analyses, waiting included.",
            ["kind"],
            buckets=_ANALYSIS_BUCKETS,
            registry=r,
        )
        self.media_seconds = Counter("emofuse_media_seconds", "Media analyzed.", registry=r)
        self.queue = Gauge("emofuse_queue", "Queued items.", ["queue"], registry=r)
        self.restarts = Counter(
            "emofuse_worker_restarts", "Worker processes replaced.", ["pool"], registry=r
        )
        self.sessions = Gauge("emofuse_stream_sessions", "Live sessions open.", registry=r)
        self.frames = Counter(
            "emofuse_stream_frames", "Frames of live sessions.", ["outcome"], registry=r
        )
        self.stream_latency = Histogram(
            "emofuse_stream_latency_seconds",
            "From a frame's arrival to its measurement.",
            buckets=_LATENCY_BUCKETS,
            registry=r,
        )

    def analyzed(self, facts: Facts, seconds: float) -> None:
        """Count a successful analysis."""
        self.analysis_seconds.labels(facts.kind).observe(seconds)
        self.media_seconds.inc(facts.duration or 0.0)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
