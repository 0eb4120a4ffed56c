"""`emofuse evaluate` for real: embedded models on small corpora that the tests make."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from emofuse.core.labels import Taxonomy
from emofuse.corpora.labels import load_map, soft_targets, taxonomy
from emofuse.corpora.manifest import Entry, Manifest, Split, save
from emofuse.corpora.recipes import fer2013
from emofuse.io.download import file_digest
from emofuse.models.card import read_card
from emofuse.models.store import WEIGHTS, ZOO, Store

Run = Any  # see conftest.py
RATE = 16_000
FAST = ("--resamples", "50")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory, media: Path) -> Path:
    """FER2013's layout with changed copies of one real face."""
    root = tmp_path_factory.mktemp("fer")
    with Image.open(media / "portrait.jpg") as image:
        face = np.asarray(image.convert("L").resize((48, 48))).astype(int)
    rng = np.random.default_rng(0)
    rows = []
    votes = taxonomy("ferplus").labels
    for split, n in (("train", 2), ("validation", 12), ("test", 24)):
        for i in range(n):
            label = taxonomy("fer2013").labels[i % 7]
            path = Path(split, label, f"{i}.jpg")
            (root / "fer2013" / path).parent.mkdir(parents=True, exist_ok=True)
            changed = np.clip(face + rng.integers(-60, 60) + rng.normal(0, 8, face.shape), 0, 255)
            Image.fromarray(changed.astype(np.uint8)).save(root / "fer2013" / path)
            rows.append(
                {"path": path.as_posix(), "split": split, "label": label}
                | dict.fromkeys(votes, "0") | {"happiness": "6", "contempt": "3" if i % 3 else "6"}
                | {"duplicate_of_train": "x" if split == "test" and i < 4 else "", "blank": "0"}
            )  # fmt: skip
    with (root / "fer2013_labels.csv").open("w", newline="") as f:
        writer = csv.DictWriter(f, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return root


@pytest.fixture(scope="module")
def comments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GoEmotions' layout with a few sentences of ours."""
    root = tmp_path_factory.mktemp("goemotions")
    said = {
        "joy": ("What a wonderful day, I love it!", "So happy for you two"),
        "anger": ("This makes me furious", "I hate when they do that"),
        "sadness": ("I miss him so much", "That is heartbreaking"),
        "neutral": ("The meeting is at nine", "It is on the second page"),
        "joy,surprise": ("Wow, I did not expect such a gift!", "No way, that is amazing"),
    }
    for folder, name in (("original", "goemotions"), ("ekman", "goemotions_ekman")):
        labels = taxonomy(name).labels
        (root / folder).mkdir()
        (root / folder / "labels.txt").write_text("\n".join(labels))
        for part in ("train", "dev", "test"):
            lines = [
                f"{text}{' Really.' if part == 'test' else ''}\t"
                f"{','.join(str(labels.index(x)) for x in known.split(','))}\t{part}{i}{j}"
                for i, (known, texts) in enumerate(said.items())
                for j, text in enumerate(texts)
            ]
            (root / folder / f"{part}.tsv").write_text("\n".join(lines))
    return root


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of buzzing "voices": six speakers in three folds, each a split of its own."""
    root = tmp_path_factory.mktemp("voices")
    entries = []
    labels = taxonomy("ravdess").labels
    for speaker in range(6):
        fold = speaker // 2
        for i in range(4):
            path = root / f"{speaker}-{i}.wav"
            _buzz(path, 110 + 40 * i + 10 * speaker, seed=speaker)
            entries.append(
                Entry(
                    path.stem,
                    path,
                    {labels[(i + speaker) % 8]: 1.0},
                    split=(Split.TRAIN, Split.VALIDATION, Split.TEST)[fold],
                    fold=fold,
                    speaker=f"s{speaker}",
                    sex="Female" if speaker % 2 else "Male",
                    age=20 + 10 * speaker,
                )
            )
    save(Manifest("buzz", taxonomy("ravdess"), tuple(entries)), root / "buzz.csv")
    return root / "buzz.csv"


def _buzz(path: Path, hertz: float, seed: int) -> None:
    t = np.arange(int(1.2 * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * k * hertz * t) / k for k in range(1, 12))
    tone *= (t > 0.1) & (t < 1.1)
    sound = 0.1 * tone + np.random.default_rng(seed).normal(0, 1e-3, t.size)
    with av.open(str(path), "w") as f:
        stream = f.add_stream("pcm_s16le", rate=RATE, layout="mono")
        ints = (np.clip(sound, -1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(ints[None], "s16", "mono")
        frame.sample_rate = RATE
        f.mux(stream.encode(frame))
        f.mux(stream.encode(None))


def own_card(folder: Path, model: str, data: str = "") -> Path:
    """Copy an embedded model into a folder of its own, with other `[[data]]`."""
    folder.mkdir(parents=True, exist_ok=True)
    card = Store(folders=[]).card(model)
    for file in card.files.values():
        shutil.copy(WEIGHTS / file.name, folder / file.name)
    text = (ZOO / f"{model}.toml").read_text(encoding="utf-8")
    blocks = re.split(r"(?m)^(?=\[)", text)
    kept = "".join(b for b in blocks if not b.startswith("[[data]]"))
    path = folder / f"{model}.toml"
    path.write_text(kept.rstrip() + "\n\n" + data, encoding="utf-8")
    return path


def test_faces_from_command_to_report(run: Run, faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = run("evaluate", "face-v4", "--corpus", "fer2013", "--data", faces,
              "--out", out, "--robustness", *FAST)  # fmt: skip
    assert ran.code == 0, ran.err
    assert "accuracy" in ran.out
    assert str(out / "report.html") in ran.out.replace("\n", "")
    results = json.loads((out / "results.json").read_text())
    assert [p["name"] for p in results["parts"]] == ["test", "test, clean"]
    assert [p["samples"] for p in results["parts"]] == [24, 20]
    card = Store(folders=[]).card("face-v4")
    assert results["models"][0]["sha256"] == card.files["weights"].sha256
    assert len(results["corpus"]["digest"]) == 16
    assert results["provenance"]["date"][:2] == "20"
    assert "contempt" in " ".join(results["notes"])

    found = results["parts"][0]["metrics"]
    assert found["accuracy"]["value"] == pytest.approx(_accuracy_over_seven(faces), abs=1e-5)
    assert sum(map(sum, results["parts"][0]["confusion"])) == 24
    assert set(results["parts"][0]["reliability"]) == {"uncalibrated", "card", "refit"}

    with (out / "predictions.csv").open(newline="") as f:
        answers = list(csv.DictReader(f))
    labels = results["parts"][0]["labels"]
    right = [max(labels, key=lambda x: float(row[x])) == row["actual"] for row in answers]
    assert np.mean(right) == pytest.approx(found["accuracy"]["value"], abs=1e-5)

    clean, *corrupted = results["robustness"]
    assert clean["kind"] == "clean"
    assert clean["metrics"]["accuracy"]["value"] == pytest.approx(found["accuracy"]["value"])
    kinds = {s["kind"] for s in corrupted}
    assert {"blur", "low light", "occlusion", "small face", "JPEG", "rotation"} <= kinds
    _look_at(out)


def _accuracy_over_seven(faces: Path) -> float:
    """Ask the recogniser itself; contempt, which FER2013 does not know, is masked."""
    from emofuse.models.registry import load

    recogniser = load("face-v4")
    manifest = fer2013.load(faces).of(Split.TEST)
    truth = soft_targets(manifest, load_map("fer2013")).argmax(axis=1)
    crops = [np.repeat(face[..., None], 3, axis=2) for face in fer2013.read_images(manifest)]
    found = recogniser.infer([recogniser.prepare(crop) for crop in crops])
    p = np.stack([x.probabilities.values for x in found])
    return float((np.where(load_map("fer2013").covered, p, 0).argmax(axis=1) == truth).mean())


def _look_at(out: Path) -> None:
    """The page stands alone, escapes what it shows, and says what it is about."""
    html = (out / "report.html").read_text(encoding="utf-8")
    assert "expressions, not feelings" in html
    assert "color-scheme: light dark" in html
    assert 'name="viewport"' in html
    assert not re.search(r"<(script|link|img)\b|\bsrc=|url\(|@import", html)
    assert html.count("<svg") >= 2
    assert "nan" not in re.sub(r"<[^>]+>", " ", html).lower().split()
    markdown = (out / "report.md").read_text(encoding="utf-8")
    for heading in ("## Metrics", "## Classes", "## Calibration", "## Provenance"):
        assert heading in markdown
    tables = [line for line in markdown.splitlines() if line.startswith("| --- ")]
    assert len(tables) >= 4
    assert "expressions, not feelings" in markdown


def test_votes_leave_ties_out(run: Run, faces: Path, tmp_path: Path) -> None:
    ran = run("evaluate", "face-v4", "--corpus", "fer2013", "--labelling", "ferplus",
              "--data", faces, "--json", "--out", tmp_path / "out", *FAST)  # fmt: skip
    assert ran.code == 0, ran.err
    results = json.loads(ran.out)
    assert results["parts"][0]["samples"] == 16
    assert results["excluded"] == {"whose votes tie": 8}
    assert "contempt" in results["parts"][0]["labels"]
    assert results["temperature_refit"] > 0  # of votes that are never unanimous
    with (tmp_path / "out" / "predictions.csv").open(newline="") as f:
        assert {row["actual"] for row in csv.DictReader(f)} == {"happy"}


@pytest.mark.parametrize(("labelling", "labels"), [("ekman", 7), ("original", 7)])
def test_comments_with_several_labels(
    run: Run, comments: Path, tmp_path: Path, labelling: str, labels: int
) -> None:
    out = tmp_path / "out"
    ran = run("evaluate", "text-minilm-v2", "--corpus", "goemotions", "--data", comments,
              "--labelling", labelling, "--out", out, *FAST)  # fmt: skip
    assert ran.code == 0, ran.err
    results = json.loads((out / "results.json").read_text())
    many, one = results["parts"]
    assert (many["samples"], one["samples"]) == (10, 8)
    assert len(many["labels"]) == labels
    assert many["multi_label"]
    assert many["confusion"] is None
    assert many["metrics"]["macro_f1"]["value"] > 0.3  # of 7 labels 4 occur
    assert one["metrics"]["accuracy"]["value"] > 0.7
    thresholds = {row["label"]: row["threshold"] for row in many["classes"]}
    assert all(0 < t <= 1 for t in thresholds.values())
    assert results["temperature_refit"] > 0
    _look_at(out)


def test_thresholds_need_validation(run: Run, tmp_path: Path) -> None:
    native = Taxonomy("goemotions_ekman", taxonomy("goemotions_ekman").labels, True)
    entry = Entry("a", labels={"joy": 1.0}, split=Split.TEST, text="Wonderful!")
    save(Manifest("mine", native, (entry,)), tmp_path / "mine.csv")
    message = run(
        "evaluate", "text-minilm-v2", "--corpus", tmp_path / "mine.csv", *FAST
    ).failed_cleanly()
    assert "thresholds" in message
    assert "--split validation" in message


def test_voices_of_ones_own(run: Run, voices: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = run("evaluate", "speech-v4", "--corpus", voices, "--protocol", "cross-corpus",
              "--out", out, "--no-refit", "--segmentation", "full", "--segmentation",
              "center-1s", *FAST)  # fmt: skip
    assert ran.code == 0, ran.err
    results = json.loads((out / "results.json").read_text())
    assert [p["name"] for p in results["parts"]] == [
        "cross-corpus, full",
        "cross-corpus, center-1s",
    ]
    assert results["parts"][0]["speakers"] == 6
    assert {g["attribute"] for g in results["subgroups"]} == {"sex", "age"}
    assert "only 6 speakers" in (out / "report.md").read_text()
    assert results["parts"][0]["metrics"]["uar"]["low"] is not None
    _look_at(out)


def test_noise_of_ones_own_and_the_same_figures_again(run: Run, voices: Path) -> None:
    noises = voices.parent  # buzzing will do
    args = ("evaluate", "speech-v4", "--corpus", voices, "--no-refit",
            "--segmentation", "full", "--robustness", "--noise", noises, "--limit", "2",
            "--json", *FAST)  # fmt: skip
    once, again = (json.loads(run(*args).out) for _ in range(2))
    assert once["robustness"] == again["robustness"]
    assert "everyday noise" in {s["kind"] for s in once["robustness"]}
    assert once["provenance"]["settings"]["limit"] == 2


@pytest.fixture
def folds(tmp_path: Path) -> Path:
    """Three "trained" models, each of which says that it has not learnt from one fold."""
    for held in range(3):
        learnt = [k for k in range(3) if k != held]
        data = f'[[data]]\nname = "Buzz"\nlicence = "ours"\ncorpus = "buzz"\nfolds = {learnt}\n'
        own_card(tmp_path / "runs" / f"run-{held}" / "model", "speech-v4", data)
    return tmp_path / "runs"


def test_folds_by_the_models_that_left_them_out(run: Run, voices: Path, folds: Path) -> None:
    ran = run("evaluate", folds, "--corpus", voices, "--protocol", "folds",
              "--segmentation", "full", "--json", "--no-refit", *FAST)  # fmt: skip
    assert ran.code == 0, ran.err
    results = json.loads(ran.out)
    part = results["parts"][0]
    assert part["samples"] == 24
    assert set(part["folds"]) == {"fold 0", "fold 1", "fold 2"}
    assert [m["fold"] for m in results["models"]] == [0, 1, 2]
    uars = [fold["uar"] for fold in part["folds"].values()]
    assert part["metrics"]["uar"]["value"] == pytest.approx(np.mean(uars), abs=1e-5)
    assert part["metrics"]["uar"]["deviation"] == pytest.approx(np.std(uars, ddof=1), abs=1e-5)
    shutil.rmtree(folds / "run-1")
    message = run("evaluate", folds, "--corpus", voices, "--protocol", "folds").failed_cleanly()
    assert "one model per fold" in message
    message = run("evaluate", folds, "--corpus", voices).failed_cleanly()
    assert "got 2 models" in message


def test_leaks_are_refused_unless_one_insists(run: Run, voices: Path, tmp_path: Path) -> None:
    data = (
        '[[data]]\nname = "Buzz"\nlicence = "ours"\ncorpus = "buzz"\nsplits = ["train", "test"]\n'
    )
    card = own_card(tmp_path / "mine", "speech-v4", data)
    args = ("evaluate", card, "--corpus", voices, "--segmentation", "full", "--no-refit", *FAST)
    message = run(*args, "--out", tmp_path / "out").failed_cleanly()
    assert "was trained on 8 of the 8 samples" in message
    assert "4-0" in message
    assert not (tmp_path / "out" / "results.json").exists()
    ran = run(*args, "--despite-leaks", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert "Evaluated despite a leak" in (tmp_path / "out" / "report.html").read_text()
    before = card.read_text()
    message = run(*args, "--despite-leaks", "--update-card").failed_cleanly()
    assert "despite a leak do not go into a card" in message
    assert card.read_text() == before


def test_the_card_carries_the_figures(run: Run, voices: Path, tmp_path: Path) -> None:
    card = own_card(tmp_path / "mine", "speech-v4")
    before = read_card(card)
    args = ("evaluate", card, "--corpus", voices, "--segmentation", "full", "--no-refit",
            "--update-card", *FAST)  # fmt: skip
    for _ in range(2):  # the second time replaces what the first has written
        ran = run(*args)
        assert ran.code == 0, ran.err
        after = read_card(card)
        rows = {m.name: m for m in after.metrics if m.corpus == "buzz"}
        assert len(after.metrics) == len(before.metrics) + len(rows)
        assert {"uar", "accuracy", "macro_f1", "ece", "ece_uncalibrated"} <= set(rows)
        assert rows["uar"].split == "test, full"
        assert rows["uar"].protocol.startswith("8 samples of 2 speakers")
        assert str(tmp_path) not in rows["uar"].command
        assert "--corpus buzz.csv --data ROOT" in rows["uar"].command
    assert [m for m in after.metrics if m.corpus != "buzz"] == list(before.metrics)
    assert after.notes == before.notes


def test_what_cannot_be_measured_is_said(
    run: Run, voices: Path, faces: Path, tmp_path: Path
) -> None:
    def message(*args: object) -> str:
        return run("evaluate", *args, *FAST).failed_cleanly()

    assert "no corpus 'nothing'" in message("speech-v4", "--corpus", "nothing")
    assert "no model 'nothing'" in message("nothing", "--corpus", "fer2013", "--data", faces)
    told = message("speech-v4", "--corpus", "fer2013", "--data", faces)
    assert "model for speech" in told
    assert "crema-d" in told
    assert "expected" in message("face-v4", "--corpus", "fer2013", "--data", tmp_path)
    assert "no protocol 'loso'" in message("speech-v4", "--corpus", voices, "--protocol", "loso")
    assert "center-1s" in message("speech-v4", "--corpus", voices, "--segmentation", "all")
    assert "path of one card" in message("speech-v4", "--corpus", voices, "--update-card")
    assert "no model in the folder" in message(tmp_path, "--corpus", voices)
    assert "no image" in message("face-v4", "--corpus", _texts(tmp_path))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "report.md").write_text("mine")
    told = message("speech-v4", "--corpus", voices, "--out", tmp_path / "taken")
    assert "--overwrite" in told
    assert (tmp_path / "taken" / "report.md").read_text() == "mine"


def _texts(folder: Path) -> Path:
    entry = Entry("a", labels={"happy": 1.0}, split=Split.TEST, text="Wonderful!")
    manifest = Manifest("mine", Taxonomy("mine", ("happy", "sad")), (entry,))
    save(manifest, folder / "texts.csv", overwrite=True)
    return folder / "texts.csv"


def test_labels_of_ones_own_need_a_map(run: Run, voices: Path, tmp_path: Path) -> None:
    sound = voices.parent / "0-0.wav"
    entries = [
        Entry(label, sound, {label: 1.0}, split=Split.TEST) for label in ("bored", "glad", "mad")
    ]
    path = tmp_path / "own.csv"
    save(Manifest("own", Taxonomy("own", ("bored", "glad", "mad")), tuple(entries)), path)
    args = (
        "evaluate",
        "speech-v4",
        "--corpus",
        path,
        "--segmentation",
        "full",
        "--json",
        *FAST,
    )
    assert "'bored'" in run(*args).failed_cleanly()
    label_map = tmp_path / "own.toml"
    label_map.write_text(
        '[map]\nglad = "happy"\nmad = "angry"\n[drop]\nbored = "no canonical label is like it"\n'
    )
    ran = run(*args, "--map", label_map)
    assert ran.code == 0, ran.err
    results = json.loads(ran.out)
    assert results["parts"][0]["labels"] == ["happy", "angry"]
    assert results["excluded"] == {"without a usable label": 1}


def test_a_damaged_model_is_not_measured(run: Run, voices: Path, tmp_path: Path) -> None:
    card = own_card(tmp_path / "mine", "speech-v4")
    weights = card.parent / read_card(card).files["weights"].name
    content = bytearray(weights.read_bytes())
    content[1000] ^= 1
    weights.write_bytes(content)
    assert file_digest(weights) != read_card(card).files["weights"].sha256
    message = run("evaluate", card, "--corpus", voices, *FAST).failed_cleanly()
    assert "export it again" in message
    weights.unlink()
    assert "not beside it" in run("evaluate", card, "--corpus", voices, *FAST).failed_cleanly()


def test_faces_in_films_are_found(run: Run, media: Path, tmp_path: Path) -> None:
    films = {"talking.mp4": "happy", "comes_and_goes.mp4": "neutral", "speech.ogg": "sad"}
    entries = [
        Entry(name, media / name, {label: 1.0}, split=Split.TEST, speaker=name)
        for name, label in films.items()
    ]
    native = Taxonomy("mine", ("neutral", "happy", "sad"))
    save(Manifest("films", native, tuple(entries[:2])), tmp_path / "films.csv")
    args = ("--segmentation", "full", "--json", "--no-refit", *FAST)
    ran = run("evaluate", "face-v4", "--corpus", tmp_path / "films.csv", *args)
    assert ran.code == 0, ran.err
    results = json.loads(ran.out)
    assert results["parts"][0]["samples"] == 2
    assert any("tracked as in an analysis" in note for note in results["notes"])
    save(Manifest("films", native, tuple(entries)), tmp_path / "films.csv", overwrite=True)
    message = run("evaluate", "face-v4", "--corpus", tmp_path / "films.csv", *args).failed_cleanly()
    assert "has no image" in message


def test_a_face_that_is_not_found_is_an_error_and_not_in_calibration(
    run: Run, tmp_path: Path
) -> None:
    for name in ("wall", "sky"):
        Image.new("RGB", (200, 200), (90, 90, 90)).save(tmp_path / f"{name}.png")
    entries = [
        Entry(name, tmp_path / f"{name}.png", {label: 1.0}, split=Split.TEST)
        for name, label in (("wall", "neutral"), ("sky", "happy"))
    ]
    save(Manifest("walls", Taxonomy("m", ("neutral", "happy")), tuple(entries)), tmp_path / "w.csv")
    ran = run("evaluate", "face-v4", "--corpus", tmp_path / "w.csv", "--faces", "find",
              "--detector", "haar", "--json", "--no-refit", *FAST)  # fmt: skip
    assert ran.code == 0, ran.err
    results = json.loads(ran.out)
    part = results["parts"][0]
    assert part["missed"] == 2
    assert part["metrics"]["missed"]["value"] == 1
    assert part["confusion"] == [[0, 0], [0, 0]]
    assert part["metrics"]["accuracy"]["value"] == part["metrics"]["uar"]["value"] == 0
    assert part["metrics"]["ece"]["value"] == part["metrics"]["nll"]["value"] == 0
    assert any("No face was found in 2 samples" in note for note in results["notes"])
    message = run("evaluate", "face-v4", "--corpus", tmp_path / "w.csv", "--detector",
                  "nobody").failed_cleanly()  # fmt: skip
    assert "yunet" in message


def test_fusion_without_anything_to_measure(run: Run, tmp_path: Path) -> None:
    ran = run("evaluate", "fusion", "--data", str(tmp_path), "--out", str(tmp_path / "o"))
    assert ran.code != 0
    for told in ("fer2013", "--posteriors"):
        assert told in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "o" / "report.html").exists()


def test_fusion_measures_what_is_there_and_caches_predictions(
    run: Run, faces: Path, tmp_path: Path
) -> None:
    """Faces alone are not enough for a report, but the predictions for them are kept."""
    kept = tmp_path / "cache"
    ran = run("evaluate", "fusion", "--data", str(faces), "--predictions-cache", str(kept))
    assert ran.code != 0
    assert "crema-d" in ran.err
    assert [p.name for p in kept.iterdir()] == ["fer2013-face-v4.parquet"]


def test_a_model_needs_a_corpus(run: Run) -> None:
    ran = run("evaluate", "face-v4")
    assert ran.code != 0
    assert "--corpus" in ran.err


def test_the_default_command_is_model(run: Run) -> None:
    short, long = (
        run("evaluate", "nothing", "--corpus", "x"),
        run("evaluate", "model", "nothing", "--corpus", "x"),
    )
    assert short.code == long.code != 0
    assert short.err == long.err
    listed = run("evaluate", "--help").out
    assert "model" in listed
    assert "fusion" in listed
