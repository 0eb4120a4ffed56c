"""Is it told who is who?

    python -m benchmarks.identity faces [--save]     # tracks of KDEF's and CK+'s people, and clips
    python -m benchmarks.identity voices [--save]    # dialogues of CREMA-D's and RAVDESS' speakers
    python -m benchmarks.identity overlaps [--save]  # such dialogues where some speak at once
    python -m benchmarks.identity cost CLIP… [--save]
    python -m benchmarks.identity heads GRAPH.onnx OUT.npz   # see emofuse.conversion.identity

`faces` makes files of 2 to 6 people with 3 to 6 tracks each and counts pairs of tracks: those
of one person that are found (recall), and those of two people that are taken for one (wrong
merges, as a part of all pairs that are joined). KDEF: two photos a track, half of the people, the
others having served to choose thresholds; it has each of 70 people in two sessions, which count
as one person (found by mutual nearest neighbours, looked at for ten). CK+: the frames of one
posed expression a track, 48 pixels wide. Clips: tracks of 2.5 s of talking heads.

`voices` strings together clips of 2 to 4 speakers, 4 to 7 each, in random order, all emotions,
equally loud, with pauses of 0.2 to 0.8 s and noise at 20 dB, and counts by pyannote.metrics
(collar 0.25 s on each side of a border). References are the clips from where the voice activity
detector hears the first voice in them, without noise, to the last.

`overlaps` lets four in ten changes of speaker overlap by 0.8 to 2 s, the second voice up to 5 dB
louder or softer, and counts seconds of what is taken for an overlap and of what is one.

`heads` fits what follows the net of voices, on speakers of training: the projection of its
embedding, and what tells two voices at once from one.

`cost` is processor time with and without identity.
"""

from __future__ import annotations

import argparse
import csv
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import data_root, write_result
from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.core.estimates import Subject, SubjectKind
from emofuse.core.identity import IdentityEmbedding
from emofuse.core.media import AudioChunk
from emofuse.core.modality import Modality
from emofuse.core.time import Span, to_ns
from emofuse.errors import InputError
from emofuse.face.crop import FER2013, crop_face
from emofuse.face.detect import Detection, compact
from emofuse.face.portrait import GEOMETRY, SIDE
from emofuse.face.quality import look
from emofuse.identity.config import IdentityConfig
from emofuse.identity.encoders import VoiceEmbedder, VoiceEncoder, face_encoder, voice_encoder
from emofuse.identity.faces import FaceTracks
from emofuse.identity.voices import Voices
from emofuse.io.images import read_image
from emofuse.models.store import Store
from emofuse.sources.audio import read_audio
from emofuse.speech.vad import RATE, VoiceActivityDetector
from emofuse.text.transcribe import TranscribeConfig

Row = tuple[NDArray[np.float32], float]
Tracks = dict[str, list[list[Row]]]
"""Person → tracks → embeddings with their quality."""

CLIPS = (
    "face_then_none.mov", "grid_bbaf2n.mpg", "grid_brbk7n.mpg", "grid_lbax4n.mpg",
    "grid_swiz3n.mpg", "pexels_expressive_face.mp4", "ravdess_01-01-01-01-01-01-01.mp4",
    "ravdess_01-01-06-01-01-02-09.mp4",
)  # fmt: skip
PIECE = 2.5  # seconds of a clip that make a track
FILES, DIALOGUES = 200, 24
COLLAR = 0.25
OVERLAPPING = 0.4  # part of the changes of speaker at which both speak at once


# ---------------------------------------------------------------- faces


class Faces:
    """Embeds faces of photos and films as an analysis does."""

    def __init__(self) -> None:
        store, config = Store(), IdentityConfig()
        self._detector = compact(store)
        self._encoder = face_encoder(config.face_model, store)

    def of_photo(self, image: NDArray[np.uint8], whole: bool = False) -> Row | None:
        """Embed the surest face; `whole`: the photo is one, cut out as FER2013's are."""
        if whole:
            side = float(image.shape[0])
            landmarks = np.asarray(FER2013.landmarks, np.float32) * side
            face = Detection((0.0, 0.0, side, side), 1.0, landmarks)
        else:
            found = self._detector.detect(image)
            if not found:
                return None
            face = found[0]
        quality = look(crop_face(image, face), face).quality
        crop = crop_face(image, face, GEOMETRY, SIDE)
        return self._encoder.logits([crop])[0], quality


def photos(archive: Path, wanted: Sequence[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield the named pictures of an archive."""
    names = set(wanted)
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name in names:
                file = tar.extractfile(member)
                assert file is not None
                yield member.name, read_image(file.read()).pixels


def table(path: Path) -> list[dict[str, str]]:
    """Read a csv file."""
    with path.open(encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


def kdef(root: Path, faces: Faces) -> Tracks:
    """Embed the photos of every other of KDEF's 70 people, two to a track."""
    rows = {r["image"]: r["subject"] for r in table(root / "cross_corpus" / "kdef.csv")}
    sessions: dict[str, list[Row]] = {}
    for name, image in photos(root / "cross_corpus" / "kdef.tar", list(rows)):
        found = faces.of_photo(image)
        if found is not None:
            sessions.setdefault(rows[name], []).append(found)
    people: dict[str, list[str]] = {}
    for session, person in same_sessions(sessions).items():
        people.setdefault(person, []).append(session)
    rng, tracks = np.random.default_rng(0), Tracks()
    for person in sorted(people, key=int)[1::2]:  # the others chose the thresholds
        for session in people[person]:
            order = rng.permutation(len(sessions[session]))
            pairs = [order[i : i + 2] for i in range(0, len(order) - 1, 2)]
            some = [[sessions[session][k] for k in pair] for pair in pairs]
            tracks.setdefault(person, []).extend(some)
    return tracks


def same_sessions(sessions: dict[str, list[Row]]) -> dict[str, str]:
    """Name the two sessions of each person alike: they are each other's nearest."""
    names = sorted(sessions, key=int)
    means = np.stack([np.mean([row for row, _ in sessions[n]], axis=0) for n in names])
    apart = np.linalg.norm(means[:, None] - means[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    nearest = apart.argmin(axis=1)
    assert (nearest[nearest] == np.arange(len(names))).all(), "KDEF's sessions come in pairs"
    return {n: names[min(k, int(nearest[k]))] for k, n in enumerate(names)}


def ck48(root: Path, faces: Faces) -> Tracks:
    """Embed CK+'s crops: the frames of one expression are a track."""
    rows = {r["image"]: r["subject"] for r in table(root / "cross_corpus" / "ck48.csv")}
    tracks: dict[str, dict[str, list[Row]]] = {}
    for name, image in photos(root / "cross_corpus" / "ck48.tar", list(rows)):
        found = faces.of_photo(image, whole=True)
        assert found is not None
        sequences = tracks.setdefault(rows[name], {})
        sequences.setdefault(name.rpartition("_")[0], []).append(found)
    return {person: list(some.values()) for person, some in tracks.items()}


def clips(folder: Path) -> Tracks:
    """Cut clips into pieces and let the analysis make tracks of them."""
    from dataclasses import replace

    from emofuse.core.media import Frame, Track, Watermark

    analyzer = Analyzer(AnalyzerConfig(modalities=(Modality.FACE,)))
    tracks: Tracks = {}
    for name in CLIPS:
        with closing(analyzer.open(folder / name)) as source:
            packets, info = list(source.packets()), source.info
        frames = [p for p in packets if isinstance(p, Frame)]
        for start in np.arange(0, frames[-1].at.start, PIECE):
            piece = [f for f in frames if start <= f.at.start < start + PIECE]
            moved = [
                replace(f, at=Span(f.at.start_ns - to_ns(start), f.at.end_ns - to_ns(start)))
                for f in piece
            ]
            pipeline = analyzer.pipeline(info)
            items = [p for f in moved for p in pipeline.feed(f)]
            items += pipeline.feed(Watermark(Track.VIDEO, to_ns(PIECE)))
            items += pipeline.flush()
            found: dict[Subject, list[Row]] = {}
            for item in items:
                if isinstance(item, IdentityEmbedding):
                    found.setdefault(item.subject, []).append((item.embedding, item.quality))
            tracks.setdefault(name, []).extend(found.values())
    return tracks


def count_pairs(tracks: Tracks) -> dict[str, Any]:
    """Make files of some people's tracks, say who is who, and count pairs of tracks."""
    rng, config = np.random.default_rng(1), IdentityConfig()
    people = sorted(person for person, some in tracks.items() if some)
    found = wrong = missed = unsure = total = 0
    for _ in range(FILES):
        cast = rng.choice(people, min(len(people), int(rng.integers(2, 7))), replace=False)
        file = [(p, t) for p in cast for t in drawn(tracks[p], int(rng.integers(3, 7)), rng)]
        file = [file[k] for k in rng.permutation(len(file))]
        labels, doubted = told_apart([t for _, t in file], config)
        a, b = np.triu_indices(len(file), 1)
        who = np.array([p for p, _ in file])
        same, joined = who[a] == who[b], labels[a] == labels[b]
        found += int((same & joined).sum())
        wrong += int((~same & joined).sum())
        missed += int((same & ~joined).sum())
        unsure, total = unsure + doubted, total + len(file)
    return {
        "people": len(people),
        "tracks": sum(map(len, tracks.values())),
        "files": FILES,
        "pairwise_f1": round(2 * found / (2 * found + wrong + missed), 4),
        "recall": round(found / (found + missed), 4),
        "wrong_merges": round(wrong / max(1, found + wrong), 4),
        "not_sure_who": round(unsure / total, 4),
    }


def drawn(some: list[list[Row]], count: int, rng: np.random.Generator) -> list[list[Row]]:
    """Draw some tracks."""
    return [some[k] for k in rng.permutation(len(some))[:count]]


def told_apart(
    tracks: Sequence[list[Row]], config: IdentityConfig
) -> tuple[NDArray[np.int64], int]:
    """Return a label for each track (one of its own if nobody can say) and how many have such."""
    everybody = FaceTracks(config)
    for n, track in enumerate(tracks):
        for k, (row, quality) in enumerate(track):
            span = Span(1000 * n + k, 1000 * n + k + 1)
            everybody.add(IdentityEmbedding(Subject(SubjectKind.FACE, n), span, row, quality))
    labels, unsure = np.zeros(len(tracks), np.int64), 0
    for k, group in enumerate(everybody.groups()):
        for subject in group.tracks:
            labels[subject.number] = -1 - subject.number if group.maybe else k
            unsure += bool(group.maybe)
    return labels, unsure


def measure_faces(root: Path) -> dict[str, Any]:
    """Count pairs on everything there is."""
    faces = Faces()
    made = {"kdef": kdef(root, faces), "ck48": ck48(root, faces), "clips": clips(root / "clips")}
    return {name: count_pairs(tracks) for name, tracks in made.items()}


# ---------------------------------------------------------------- voices


def speakers(root: Path, test: bool) -> dict[str, list[tuple[str, str]]]:
    """Return each speaker's clips as (archive, name); test speakers or those of training."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in table(root / "crema-d.csv"):
        if (row["split"] == "test") is test and row["conflicting_duplicate"] == "0":
            found.setdefault(f"crema-d {row['speaker']}", []).append(("crema-d", row["clip"]))
    for row in table(root / "ravdess.csv"):
        if (row["fold"] == "3") is test:
            found.setdefault(f"ravdess {row['speaker']}", []).append(("ravdess", row["clip"]))
    return found


def plans(
    people: dict[str, list[tuple[str, str]]], count: int = DIALOGUES, seed: int = 2
) -> list[list[tuple[str, tuple[str, str]]]]:
    """Say who speaks which clip in each dialogue: all of one corpus."""
    rng, made = np.random.default_rng(seed), []
    corpora = sorted({name.split()[0] for name in people})
    for n in range(count):
        corpus = corpora[n % len(corpora)]
        names = sorted(p for p in people if p.startswith(corpus))
        cast = rng.choice(names, int(rng.integers(2, 5)), replace=False)
        turns = [
            (str(name), people[name][k])
            for name in cast
            for k in rng.permutation(len(people[name]))[: int(rng.integers(4, 8))]
        ]
        made.append([turns[k] for k in rng.permutation(len(turns))])
    return made


def compose(
    turns: Sequence[tuple[str, NDArray[np.float32]]],
    noise: NDArray[np.float32],
    rng: np.random.Generator,
    overlapping: float = 0.0,
) -> tuple[NDArray[np.float32], list[tuple[Span, str]]]:
    """String clips together in noise at 20 dB; return sound and who speaks when.

    Args:
        turns: speakers and what they say.
        noise: repeated as often as needed.
        rng: draws pauses, and overlaps with their levels.
        overlapping: part of the changes of speaker without a pause, both speaking at once.
    """
    placed: list[tuple[int, NDArray[np.float32]]] = []
    reference, at, before, last = [], 0, "", 0
    for name, samples in turns:
        heard = voiced(samples)
        piece = samples[heard.start : heard.stop]
        piece = piece * (0.05 / np.sqrt(np.mean(piece**2)))
        if overlapping and before not in ("", name) and rng.random() < overlapping:
            start = at - min(int(rng.uniform(0.8, 2.0) * RATE), len(piece), last)
            piece = piece * 10 ** (rng.uniform(-5, 5) / 20)
        else:
            start = at + int(rng.uniform(0.2, 0.8) * RATE)
        end = start + len(piece)
        placed.append((start, piece))
        reference.append((Span(start * to_ns(1) // RATE, end * to_ns(1) // RATE), name))
        at, before, last = max(at, end), name, len(piece)
    sound = np.zeros(at + RATE // 2, np.float32)
    for start, piece in placed:
        sound[start : start + len(piece)] += piece
    hiss = np.resize(noise, len(sound))
    gain = np.sqrt(np.mean(sound**2) / np.mean(hiss**2)) * 10 ** (-20 / 20)
    return (sound + gain * hiss).astype(np.float32), reference


def voiced(samples: NDArray[np.float32]) -> slice:
    """Return where a voice is heard in a clip."""
    detector = VoiceActivityDetector()
    items = [*detector.feed(AudioChunk(samples, RATE, 0)), *detector.flush()]
    chunks = [item for item in items if isinstance(item, AudioChunk)]
    return slice(chunks[0].first, chunks[-1].end) if chunks else slice(0, len(samples))


def prints_of(sound: NDArray[np.float32], stage: VoiceEmbedder) -> list[IdentityEmbedding]:
    """Find the voiced stretches and embed them as an analysis does."""
    detector = VoiceActivityDetector()
    stage.reset()
    heard = [*detector.feed(AudioChunk(sound, RATE, 0)), *detector.flush()]
    items = [x for chunk in heard for x in stage.feed(chunk)] + list(stage.flush())
    return [item for item in items if isinstance(item, IdentityEmbedding)]


def measure_voices(root: Path, test: bool = True) -> dict[str, Any]:
    """Measure the diarisation error rate."""
    from pyannote.core import Annotation, Segment
    from pyannote.metrics.diarization import DiarizationErrorRate

    config, stage = IdentityConfig(), voice_stage()
    metric = DiarizationErrorRate(collar=2 * COLLAR, skip_overlap=False)
    counted = []
    for sound, spans in dialogues(root, plans(speakers(root, test)), 3):
        voices = Voices(config)
        for item in prints_of(sound, stage):
            voices.add(item)
        reference, found = Annotation(), Annotation()
        for n, (span, name) in enumerate(spans):
            reference[Segment(span.start, span.end), n] = name
        for n, turn in enumerate(voices.turns()[0]):
            found[Segment(turn.span.start, turn.span.end), n] = str(turn.speaker)
        metric(reference, found.support())
        counted.append(len(found.labels()) - len(reference.labels()))
    total = metric.accumulated_
    parts = ("false alarm", "missed detection", "confusion")
    return {
        "dialogues": len(counted),
        "speakers": "test" if test else "of training",
        "der": round(abs(metric), 4),
        **{part: round(total[part] / total["total"], 4) for part in parts},
        "speakers_found_minus_true": {str(d): counted.count(d) for d in sorted(set(counted))},
    }


def voice_stage(graph: Path | None = None) -> VoiceEmbedder:
    """Make what embeds voices; with another graph than that of the model if one is given."""
    model, store = IdentityConfig().voice_model, Store()
    encoder = voice_encoder(model, store) if graph is None else VoiceEncoder(model, graph)
    return VoiceEmbedder(encoder)


def dialogues(
    root: Path,
    planned: Sequence[Sequence[tuple[str, tuple[str, str]]]],
    seed: int,
    overlapping: float = 0.0,
) -> Iterator[tuple[NDArray[np.float32], list[tuple[Span, str]]]]:
    """Yield the sound of planned dialogues, and who speaks when."""
    rng = np.random.default_rng(seed)
    noises = [read_audio(p) for p in sorted((root / "noise").rglob("*.flac"))]
    noises = [noise for noise in noises if len(noise) > 2 * RATE]
    sounds = {clip: read_audio(path) for clip, path in unpacked(root, planned)}
    for plan in planned:
        turns = [(name, sounds[clip]) for name, (_, clip) in plan]
        yield compose(turns, noises[int(rng.integers(len(noises)))], rng, overlapping)


def overlaps_of(spans: Sequence[tuple[Span, str]]) -> list[Span]:
    """Return where several people speak at once, in order; the stretches do not overlap."""
    pairs = ((a, b) for k, a in enumerate(spans) for b in spans[k + 1 :] if a[1] != b[1])
    both = ((max(a.start_ns, b.start_ns), min(a.end_ns, b.end_ns)) for (a, _), (b, _) in pairs)
    joined: list[Span] = []
    for start, end in sorted(pair for pair in both if pair[0] < pair[1]):
        if joined and start <= joined[-1].end_ns:
            joined[-1] = Span(joined[-1].start_ns, max(end, joined[-1].end_ns))
        else:
            joined.append(Span(start, end))
    return joined


def shared_ns(span: Span, others: Sequence[Span]) -> int:
    """Return for how long a span overlaps others, which do not overlap each other."""
    return sum(span.overlap_ns(other) for other in others)


def measure_overlaps(root: Path, test: bool = True) -> dict[str, Any]:
    """Compare what is taken for two voices at once with what is."""
    people = speakers(root, test) if test else left_out(speakers(root, test=False))[1]
    stage, least = voice_stage(), IdentityConfig().overlap
    found_ns = right_ns = true_ns = windows = holding = true = touched = 0
    for sound, spans in dialogues(root, plans(people, seed=4), 5, OVERLAPPING):
        both = overlaps_of(spans)
        flagged = [p.span for p in prints_of(sound, stage) if p.overlap >= least]
        found_ns += sum(span.duration_ns for span in flagged)
        right_ns += sum(shared_ns(span, both) for span in flagged)
        true_ns += sum(span.duration_ns for span in both)
        windows += len(flagged)
        holding += sum(shared_ns(span, both) > 0 for span in flagged)
        true += len(both)
        touched += sum(shared_ns(span, flagged) > 0 for span in both)
    return {
        "dialogues": DIALOGUES,
        "speakers": "test" if test else "of training, left out of the fit",
        "overlaps": true,
        "overlap_seconds": round(true_ns / to_ns(1), 1),
        "precision_by_time": round(right_ns / max(1, found_ns), 3),
        "recall_by_time": round(right_ns / true_ns, 3),
        "windows_marked": windows,
        "windows_that_hold_an_overlap": round(holding / max(1, windows), 3),
        "overlaps_touched": round(touched / true, 3),
    }


def unpacked(
    root: Path, planned: Sequence[Sequence[tuple[str, tuple[str, str]]]]
) -> Iterator[tuple[str, Path]]:
    """Unpack the clips that are spoken, one after the other."""
    wanted = {clip: archive for plan in planned for _, (archive, clip) in plan}
    with tempfile.TemporaryDirectory() as folder:
        for archive in sorted(set(wanted.values())):
            with tarfile.open(root / f"{archive}.tar") as tar:
                for member in tar:
                    clip = Path(member.name).stem
                    if wanted.get(clip) == archive and member.isfile():
                        file = tar.extractfile(member)
                        assert file is not None
                        path = Path(folder) / Path(member.name).name
                        path.write_bytes(file.read())
                        yield clip, path


def fit_projection(
    rows: NDArray[np.float32], who: NDArray[Any], width: int = 30, shrinkage: float = 0.6
) -> dict[str, NDArray[np.float32]]:
    """Find the directions in which speakers differ most and one speaker least (LDA).

    Args:
        rows: embeddings of length 1, (n, 256).
        who: whose each is.
        width: how many directions.
        shrinkage: how far the covariance within speakers is drawn to a round one.
    """
    from scipy.linalg import eigh

    mean = rows.mean(axis=0)
    within = np.zeros((rows.shape[1],) * 2)
    between = np.zeros_like(within)
    for name in sorted(set(who)):
        some = rows[who == name]
        off = some - some.mean(axis=0)
        within += off.T @ off
        between += len(some) * np.outer(some.mean(axis=0) - mean, some.mean(axis=0) - mean)
    within /= len(rows)
    round_ = np.trace(within) / len(within) * np.eye(len(within))
    _, directions = eigh(between, (1 - shrinkage) * within + shrinkage * round_)
    matrix = directions[:, ::-1][:, :width]
    return {"mean": mean.astype(np.float32), "matrix": matrix.astype(np.float32)}


def left_out(people: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split speakers: three in four teach what an overlap sounds like, one tells how well."""
    names = sorted(people)
    return (
        {name: people[name] for k, name in enumerate(names) if k % 4},
        {name: people[name] for name in names[::4]},
    )


def fit_overlaps(root: Path, stage: VoiceEmbedder) -> dict[str, NDArray[np.float32]]:
    """Fit a logistic regression that tells windows in which two speak at once."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    known = speakers(root, test=False)  # RAVDESS' licence would be the model's, too
    taught, _ = left_out({p: clips for p, clips in known.items() if p.startswith("crema-d")})
    rows, labels = [], []
    for sound, spans in dialogues(root, plans(taught, 48, seed=6), 7, OVERLAPPING):
        both = overlaps_of(spans)
        for item in prints_of(sound, stage):
            part = shared_ns(item.span, both) / item.span.duration_ns
            if not 0 < part < 0.4:  # neither one nor the other
                rows.append(item.embedding)
                labels.append(part > 0)
    scaler = StandardScaler().fit(np.stack(rows))
    model = LogisticRegression(C=0.03, max_iter=2000).fit(scaler.transform(np.stack(rows)), labels)
    weights = model.coef_[0] / scaler.scale_
    bias = model.intercept_ - weights @ scaler.mean_
    return {"weights": weights.astype(np.float32), "bias": bias.astype(np.float32)}


def write_heads(root: Path, graph: Path, path: Path) -> None:
    """Fit what follows a graph without heads: the projection, and what tells overlaps."""
    stage = voice_stage(graph)
    rng, rows, who = np.random.default_rng(0), [], []
    people = {p: c for p, c in speakers(root, test=False).items() if p.startswith("crema-d")}
    drawn_ = [(p, some[k]) for p, some in people.items() for k in rng.permutation(len(some))[:14]]
    names = {clip: p for p, (_, clip) in drawn_}
    for clip, file in unpacked(root, [[(p, c) for p, c in drawn_]]):
        for item in prints_of(read_audio(file), stage):
            rows.append(item.embedding)
            who.append(names[clip])
    projection = fit_projection(np.stack(rows), np.array(who))
    np.savez(path, **projection, **fit_overlaps(root, stage))


# ---------------------------------------------------------------- cost


def measure_cost(paths: Sequence[Path]) -> dict[str, Any]:
    """Compare processor time with and without identity, each the better of two runs."""
    figures: dict[str, Any] = {}
    for path in paths:
        best = {}
        for enabled in (True, False):
            identity = IdentityConfig(enabled=enabled)
            config = AnalyzerConfig(transcribe=TranscribeConfig(engine="none"), identity=identity)
            analyzer, took = Analyzer(config), []
            for _ in range(2):
                started = time.process_time()
                timeline = analyzer.analyze(path)
                took.append(time.process_time() - started)
            best[enabled] = min(took)
        figures[path.name] = {
            "seconds_of_media": round(timeline.duration_ns / to_ns(1), 1),
            "with": round(best[True], 2),
            "without": round(best[False], 2),
            "more": round(best[True] / best[False] - 1, 3),
        }
    return figures


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=("faces", "voices", "overlaps", "cost", "heads"))
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--save", action="store_true")
    parser.add_argument(
        "--tuning", action="store_true", help="voices, overlaps: speakers of training"
    )
    args = parser.parse_args(argv)
    root = data_root()
    if root is None and args.what != "cost":
        raise InputError("EMOFUSE_DATA must name the folder of the corpora")
    assert root is not None or args.what == "cost"
    if args.what == "heads":
        write_heads(root or Path(), *args.paths)
        return
    figures = {
        "faces": lambda: measure_faces(root or Path()),
        "voices": lambda: measure_voices(root or Path(), not args.tuning),
        "overlaps": lambda: measure_overlaps(root or Path(), not args.tuning),
        "cost": lambda: measure_cost(args.paths),
    }[args.what]()
    if args.save:
        write_result(f"identity-{args.what}", figures)
    else:
        print(figures)


if __name__ == "__main__":
    main()
