"""Live sessions in which nothing is dropped, however fast it comes."""

from emofuse.streaming import LiveConfig

PATIENT = LiveConfig(
    frames=10_000,
    sound_seconds=10_000,
    patience_seconds=None,
    overdue_seconds=None,
    unread=1_000_000,
)
