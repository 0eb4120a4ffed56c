"""Tiny media and tiny copies of corpora, laid out as they are distributed.

Every medium that is made differs from all others, so that duplicates are made on
purpose only.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import av
import numpy as np
from PIL import Image

_SEEDS = count()
_CODECS = {
    ".wav": "pcm_s16le",
    ".flac": "flac",
    ".mp3": "libmp3lame",
    ".opus": "libopus",
    ".ogg": "libopus",
    ".m4a": "aac",
}


def sound(path: Path, seconds: float = 0.25, rate: int = 48000) -> Path:
    """Write noise, in the format that the ending says."""
    noise = np.random.default_rng(next(_SEEDS)).normal(0, 2000, int(seconds * rate))
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = "ogg" if path.suffix.lower() == ".opus" else None
    with av.open(str(path), "w", format=kind) as out:
        stream = out.add_stream(_CODECS[path.suffix.lower()], rate=rate, layout="mono")
        _encode_sound(out, stream, noise.astype(np.int16), rate)
    return path


def _encode_sound(out, stream, samples, rate: int) -> None:
    resampler = av.AudioResampler(stream.format, "mono", rate)
    frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
    frame.rate = rate
    size = stream.codec_context.frame_size or 1024
    fifo = av.AudioFifo()
    for part in resampler.resample(frame):
        part.pts = None
        fifo.write(part)
    while (block := fifo.read(size)) or (block := fifo.read()):
        out.mux(stream.encode(block))
    out.mux(stream.encode())


def picture(path: Path, side: int = 48) -> Path:
    """Write a grey picture of noise."""
    noise = np.random.default_rng(next(_SEEDS)).integers(0, 255, (side, side), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(path, quality=95)
    return path


def film(path: Path, frames: int = 4, rate: int = 10) -> Path:
    """Write noise that moves, without sound."""
    generator = np.random.default_rng(next(_SEEDS))
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = "flv" if path.suffix.lower() == ".flv" else "mpeg4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(frames):
            pixels = generator.integers(0, 255, (64, 64, 3), np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        out.mux(stream.encode())
    return path


def table(path: Path, header: str, *rows: Sequence[object]) -> Path:
    """Write a CSV table; `header` names its columns, separated by blanks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as f:
        csv.writer(f).writerows([header.split(" "), *rows])
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


Labels = str | dict[str, float]


@dataclass(frozen=True)
class Layout:
    """One way in which a corpus lies about.

    `expected` is what must be read: id → labels (one, or votes), split, and speaker.
    """

    recipe: str
    name: str
    build: Callable[[Path], object]
    expected: Mapping[str, tuple[Labels, str, str | None]]
    labelling: str | None = None
    medium: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    problems: frozenset[str] = frozenset()
    nestable: bool = True

    def __str__(self) -> str:
        return f"{self.recipe}: {self.name}"


# Voices


def ravdess(root: Path) -> None:
    folder = root / "Audio_Speech_Actors_01-24"
    sound(folder / "Actor_01" / "03-01-05-01-01-01-01.wav")
    sound(folder / "Actor_08" / "03-01-02-01-02-01-08.opus")
    film(root / "Video_Speech_Actor_01" / "Actor_01" / "01-01-05-01-01-01-01.mp4")
    film(root / "Video_Speech_Actor_01" / "Actor_01" / "02-01-05-01-01-01-01.mp4")
    sound(root / "Audio_Song_Actors_01-24" / "Actor_24" / "03-02-06-02-01-01-24.flac")


def crema_d(root: Path) -> None:
    sound(root / "AudioWAV" / "1001_DFA_ANG_XX.wav")
    sound(root / "AudioMP3" / "1001_DFA_ANG_XX.mp3")
    sound(root / "AudioWAV" / "1048_IEO_SAD_HI.wav")
    film(root / "VideoFlash" / "1001_DFA_ANG_XX.flv")
    film(root / "VideoFlash" / "1049_TSI_NEU_XX.flv")
    text(
        root / "VideoDemographics.csv",
        '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Caucasian","Not Hispanic"\n'
        '1048,38,"Male","Caucasian","Hispanic"\n1049,25,"Female","Caucasian","Hispanic"\n',
    )


def crema_d_votes(root: Path) -> None:
    crema_d(root)
    columns = '"","A","D","F","H","N","S","fileName","numResponses"\n'
    text(
        root / "processedResults" / "tabulatedVotes.csv",
        columns
        + '"100001",7,0,0,0,3,0,"1001_DFA_ANG_XX",10\n"100002",0,0,0,0,0,9,"1048_IEO_SAD_HI",9\n'
        + '"200001",0,9,0,0,0,0,"1001_DFA_ANG_XX",9\n"200002",0,0,1,0,8,0,"1048_IEO_SAD_HI",9\n',
    )


def crema_d_winners(root: Path) -> None:
    crema_d(root)
    text(
        root / "processedResults" / "summaryTable.csv",
        '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote"\n'
        '"1","1001_DFA_ANG_XX","A","47","A:D","41:40","A"\n'
        '"2","1048_IEO_SAD_HI","N:S","40:40","S","50","S"\n',
    )


def crema_d_responses(root: Path) -> None:
    crema_d(root)
    rows = [(2, "1001_DFA_ANG_XX", "D"), (2, "1001_DFA_ANG_XX", "A"), (2, "1001_DFA_ANG_XX", "D")]
    table(root / "finishedResponses.csv", "queryType clipName respEmo", *rows, (1, "x", "N"))


def tess(root: Path) -> None:
    sound(root / "OAF_angry" / "OAF_back_angry.wav")
    sound(root / "YAF_pleasant_surprised" / "YAF_back_ps.flac")
    sound(root / "OAF_neutral" / "OA_bite_neutral.mp3")
    sound(root / "OAF_fear" / "289testOAF_such_fear7.wav")  # as a common copy renames a third
    text(root / "readme.txt", "TESS")


def savee(root: Path) -> None:
    sound(root / "AudioData" / "DC" / "a01.wav")
    sound(root / "AudioData" / "KL" / "sa02.ogg")
    sound(root / "AudioData" / "KL" / "su02.wav")
    sound(root / "AudioData" / "misc" / "a05.wav")


def savee_flat(root: Path) -> None:
    sound(root / "ALL" / "DC_a01.wav")
    sound(root / "ALL" / "JK_n30.m4a")


def savee_films(root: Path) -> None:
    film(root / "AudioVisualClip" / "JE" / "h03.avi")


def emodb(root: Path) -> None:
    sound(root / "wav" / "03a01Fa.wav")
    sound(root / "wav" / "08b02Lb.opus")
    sound(root / "wav" / "16a07Wc.wav")


def nemo(root: Path) -> None:
    sound(root / "nemo" / "samples" / "SK0_anger_12.wav")
    sound(root / "nemo" / "samples" / "EB0_surprised_1.opus")
    table(root / "nemo.csv", "clip sex age text", ("EB0_surprised_1", "female", 27, "Tak."))


MELD_COLUMNS = "Sr_No. Utterance Speaker Emotion Sentiment Dialogue_ID Utterance_ID"


def meld_words(root: Path) -> None:
    rows = [
        (1, "Oh, that’s great!", "Monica", "joy", "positive", 0, 0),
        (2, "What?\x92 Now?", "Ross", "surprise", "negative", 0, 1),
    ]
    table(root / "train_sent_emo.csv", MELD_COLUMNS, *rows)
    table(root / "dev_sent_emo.csv", MELD_COLUMNS, (1, "No.", "Joey", "anger", "negative", 0, 0))
    held_back = (1, "Hi.", "The Waiter", "neutral", "neutral", 0, 0)
    table(root / "test_sent_emo.csv", MELD_COLUMNS, held_back)


def meld(root: Path) -> None:
    meld_words(root)
    for name in ("dia0_utt0", "dia0_utt1"):
        film(root / "train" / "train_splits" / f"{name}.mp4")
    film(root / "dev" / "dev_splits_complete" / "dia0_utt0.mp4")
    film(root / "test" / "output_repeated_splits_test" / "dia0_utt0.mp4")
    film(root / "test" / "output_repeated_splits_test" / "final_videos_testdia0_utt0.mp4")


# Words


def goemotions(root: Path) -> None:
    text(root / "train.tsv", "I love it 😍\t18\ta1\nHm…\u2028 what?\t6,27\ta2\n")
    text(root / "dev.tsv", "thanks\t15\tb1\n")
    text(root / "test.tsv", "ugh\t3\tc1\n")


def goemotions_folders(root: Path) -> None:
    from emofuse.corpora.labels import taxonomy

    labels = taxonomy("goemotions_ekman").labels
    text(root / "ekman" / "labels.txt", "\n".join(labels) + "\n")
    text(root / "ekman" / "train.tsv", "I love it\t3\ta1\n")
    text(root / "ekman" / "dev.tsv", "")
    text(root / "ekman" / "test.tsv", "ugh\t0,5\tc1\n")


# Faces


def fer2013_folders(root: Path) -> None:
    picture(root / "train" / "angry" / "Training_1.jpg")
    picture(root / "test" / "Happy" / "PublicTest_2.jpg")
    picture(root / "test" / "fear" / "PrivateTest_3.jpg")
    picture(root / "test" / "sad" / "im4.png")


def fer2013_pixels(root: Path) -> None:
    generator = np.random.default_rng(0)

    def pixels() -> str:
        return " ".join(map(str, generator.integers(0, 255, 48 * 48)))

    usages = ("Training", "PublicTest", "PrivateTest")
    rows = [(code, pixels(), usage) for code, usage in zip((0, 3, 6), usages, strict=True)]
    table(root / "fer2013.csv", "emotion pixels Usage", *rows)


FERPLUS = (
    "Usage Image_name neutral happiness surprise sadness anger disgust fear contempt unknown NF"
)


def fer2013_votes(root: Path) -> None:
    fer2013_pixels(root)
    table(
        root / "fer2013new.csv",
        FERPLUS,
        ("Training", "fer0000000.png", 4, 0, 0, 1, 3, 2, 0, 0, 0, 0),
        ("PublicTest", "", 0, 0, 0, 0, 0, 0, 0, 0, 0, 10),
        ("PrivateTest", "fer0000002.png", 0, 10, 0, 0, 0, 0, 0, 0, 0, 0),
    )


def affectnet_tables(root: Path) -> None:
    images = root / "Manually_Annotated" / "Manually_Annotated_Images"
    picture(images / "689" / "a.jpg")
    picture(images / "12" / "b.png")
    columns = "subDirectory_filePath face_x expression valence arousal"
    lists = root / "Manually_Annotated_file_lists"
    table(lists / "training.csv", columns, ("689/a.jpg", 0, 1, 0.78, -0.06))
    table(lists / "validation.csv", columns, ("12/b.png", 1, 10, -2, -2))


def affectnet_arrays(root: Path) -> None:
    for split, number, code, valence in (
        ("train_set", "7", "7", "-0.5"),
        ("val_set", "7", "0", "0"),
    ):
        picture(root / split / "images" / f"{number}.jpg")
        folder = root / split / "annotations"
        folder.mkdir()
        for name, value in (("exp", code), ("val", valence), ("aro", "0.25"), ("lnd", "1")):
            np.save(folder / f"{number}_{name}.npy", np.array(value))


def raf_db(root: Path) -> None:
    text(root / "EmoLabel" / "list_patition_label.txt", "train_00001.jpg 5\ntest_0001.jpg 7\n")
    picture(root / "Image" / "aligned" / "train_00001_aligned.jpg")
    picture(root / "Image" / "original" / "train_00001.jpg")
    picture(root / "Image" / "aligned" / "test_0001_aligned.jpg")
    person = "1.0\t2.0\n" * 5 + "1\n0\n3\n"
    text(root / "Annotation" / "manual" / "train_00001_manu_attri.txt", person)


def raf_db_folders(root: Path) -> None:
    picture(root / "DATASET" / "train" / "1" / "train_00001_aligned.jpg")
    picture(root / "DATASET" / "test" / "4" / "test_0001_aligned.jpg")


def ck_plus(root: Path) -> None:
    for subject, sequence, code, length in (("S005", "001", 3, 5), ("S010", "002", 2, 2)):
        for number in range(1, length + 1):
            name = f"{subject}_{sequence}_{number:08d}.png"
            picture(root / "cohn-kanade-images" / subject / sequence / name)
        name = f"{subject}_{sequence}_{length:08d}_emotion.txt"
        text(root / "Emotion" / subject / sequence / name, f"   {code}.0000000e+00\n")
    picture(root / "cohn-kanade-images" / "S011" / "001" / "S011_001_00000001.png")


def ck48(root: Path) -> None:
    for label, name in (("anger", "S010_004_00000017"), ("happy", "S011_006_00000011")):
        picture(root / "ck48" / label / f"{name}.png")
    table(
        root / "ck48.csv",
        "image subject emotion",
        ("ck48/anger/S010_004_00000017.png", "S010", "anger"),
    )


def kdef(root: Path) -> None:
    picture(root / "KDEF" / "AF01" / "AF01ANS.JPG")
    picture(root / "KDEF" / "BM02" / "BM02SUHL.JPG")


def kdef_folders(root: Path) -> None:
    picture(root / "kdef" / "Angry" / "0_25.jpg")
    picture(root / "kdef" / "Happy" / "0_25.jpg")
    picture(root / "kdef" / "Sad" / "7_1.jpg")


def groupemow(root: Path) -> None:
    picture(root / "train" / "Positive" / "1.jpg")
    picture(root / "val" / "Neutral" / "1.jpg")
    picture(root / "test" / "Negative" / "2.png")


def groupemow_named(root: Path) -> None:
    picture(root / "GroupEmoW_Train" / "Positive" / "1.jpg")
    picture(root / "GroupEmoW_Val" / "Negative" / "1.jpg")


def vgaf(root: Path) -> None:
    film(root / "Train" / "1_1.mp4")
    film(root / "Train" / "1_2.mp4")
    film(root / "Val" / "1_1.mp4")
    text(root / "Train_labels.txt", "Vid_name Label\n1_1 1\n1_2 3\n")
    text(root / "Val_labels.txt", "1_1.mp4 2\n")


# One's own


def folder_without_splits(root: Path) -> None:
    picture(root / "joy" / "a.png")
    picture(root / "normal" / "b.jpg")


def folder(root: Path) -> None:
    sound(root / "train" / "joy" / "a.mp3")
    sound(root / "dev" / "sad" / "b.wav")


def columns(root: Path) -> None:
    picture(root / "pictures" / "a.png")
    picture(root / "pictures" / "b.png")
    rows = [("a.png", "joy", "Anna", 31, "train"), ("b.png", "sad", "Ben", "", "dev")]
    header = "file what who age split"
    table(root / "list.csv", header, *[(f"pictures/{row[0]}", *row[1:]) for row in rows])


def votes(root: Path) -> None:
    rows = [("so nice", 3, 0, "train"), ("oh dear", 1, 4, "test")]
    table(root / "list.tsv", "text happy sad split", *rows)
    content = (root / "list.tsv").read_text().replace(",", "\t")
    (root / "list.tsv").write_text(content)


TRAIN, VALIDATION, TEST = "train", "validation", "test"

LAYOUTS = (
    Layout(
        "ravdess",
        "sound",
        ravdess,
        {
            "03-01-05-01-01-01-01": ("angry", TRAIN, "1"),
            "03-01-02-01-02-01-08": ("calm", TEST, "8"),
        },
        problems=frozenset({"splits"}),  # the actors of most folds are not there
    ),
    Layout(
        "ravdess",
        "films with sound",
        ravdess,
        {"01-01-05-01-01-01-01": ("angry", TRAIN, "1")},
        medium="audio-video",
        problems=frozenset({"splits"}),
    ),
    Layout(
        "ravdess",
        "films without sound",
        ravdess,
        {"02-01-05-01-01-01-01": ("angry", TRAIN, "1")},
        medium="video",
        problems=frozenset({"splits"}),
    ),
    Layout(
        "ravdess-song",
        "sound",
        ravdess,
        {"03-02-06-02-01-01-24": ("fearful", TEST, "24")},
        problems=frozenset({"splits"}),
    ),
    Layout(
        "crema-d",
        "sound",
        crema_d,
        {"1001_DFA_ANG_XX": ("ANG", TRAIN, "1001"), "1048_IEO_SAD_HI": ("SAD", TEST, "1048")},
    ),
    Layout(
        "crema-d",
        "films",
        crema_d,
        {"1001_DFA_ANG_XX": ("ANG", TRAIN, "1001"), "1049_TSI_NEU_XX": ("NEU", VALIDATION, "1049")},
        medium="audio-video",
    ),
    Layout(
        "crema-d",
        "votes on the voice",
        crema_d_votes,
        {
            "1001_DFA_ANG_XX": ({"ANG": 7, "NEU": 3}, TRAIN, "1001"),
            "1048_IEO_SAD_HI": ({"SAD": 9}, TEST, "1048"),
        },
        labelling="voice",
    ),
    Layout(
        "crema-d",
        "winners of the votes on the voice",
        crema_d_winners,
        {
            "1001_DFA_ANG_XX": ({"ANG": 1}, TRAIN, "1001"),
            "1048_IEO_SAD_HI": ({"NEU": 1, "SAD": 1}, TEST, "1048"),
        },
        labelling="voice",
    ),
    Layout(
        "crema-d",
        "single responses to the face",
        crema_d_responses,
        {
            "1001_DFA_ANG_XX": ({"DIS": 2, "ANG": 1}, TRAIN, "1001"),
            "1048_IEO_SAD_HI": ({}, TEST, "1048"),
        },
        labelling="face",
    ),
    Layout(
        "tess",
        "mixed formats",
        tess,
        {
            "OAF_back_angry": ("angry", TRAIN, "OAF"),
            "OAF_bite_neutral": ("neutral", TRAIN, "OAF"),
            "OAF_such_fear": ("fear", TRAIN, "OAF"),
            "YAF_back_ps": ("ps", TRAIN, "YAF"),
        },
    ),
    Layout(
        "savee",
        "folders",
        savee,
        {
            "DC_a01": ("a", TRAIN, "DC"),
            "KL_sa02": ("sa", TRAIN, "KL"),
            "KL_su02": ("su", TRAIN, "KL"),
        },
        problems=frozenset({"splits"}),  # JE and JK are not there
    ),
    Layout(
        "savee",
        "one folder",
        savee_flat,
        {"DC_a01": ("a", TRAIN, "DC"), "JK_n30": ("n", TRAIN, "JK")},
        problems=frozenset({"splits"}),
    ),
    Layout(
        "savee",
        "films",
        savee_films,
        {"JE_h03": ("h", TRAIN, "JE")},
        problems=frozenset({"splits"}),
    ),
    Layout(
        "emodb",
        "mixed formats",
        emodb,
        {
            "03a01Fa": ("F", TRAIN, "03"),
            "08b02Lb": ("L", TRAIN, "08"),
            "16a07Wc": ("W", TRAIN, "16"),
        },
        problems=frozenset({"splits"}),  # most speakers are not there
    ),
    Layout(
        "nemo",
        "names and a table",
        nemo,
        {
            "EB0_surprised_1": ("surprised", TRAIN, "EB0"),
            "SK0_anger_12": ("anger", TRAIN, "SK0"),
        },
    ),
    Layout(
        "meld",
        "films",
        meld,
        {
            "train_dia0_utt0": ("joy", TRAIN, "Monica"),
            "train_dia0_utt1": ("surprise", TRAIN, "Ross"),
            "validation_dia0_utt0": ("anger", VALIDATION, "Joey"),
            "test_dia0_utt0": ("neutral", TEST, "The Waiter"),
        },
    ),
    Layout(
        "meld",
        "words alone",
        meld_words,
        {
            "train_dia0_utt0": ("joy", TRAIN, "Monica"),
            "train_dia0_utt1": ("surprise", TRAIN, "Ross"),
            "validation_dia0_utt0": ("anger", VALIDATION, "Joey"),
            "test_dia0_utt0": ("neutral", TEST, "The Waiter"),
        },
    ),
    Layout(
        "goemotions",
        "published files",
        goemotions,
        {
            "a1": ("love", TRAIN, None),
            "a2": ({"confusion": 1, "neutral": 1}, TRAIN, None),
            "b1": ("gratitude", VALIDATION, None),
            "c1": ("annoyance", TEST, None),
        },
    ),
    Layout(
        "goemotions",
        "published files, grouped",
        goemotions,
        {
            "a1": ("joy", TRAIN, None),
            "a2": ({"surprise": 1, "neutral": 1}, TRAIN, None),
            "b1": ("joy", VALIDATION, None),
            "c1": ("anger", TEST, None),
        },
        labelling="ekman",
    ),
    Layout(
        "goemotions",
        "folders",
        goemotions_folders,
        {"a1": ("joy", TRAIN, None), "c1": ({"anger": 1, "sadness": 1}, TEST, None)},
        labelling="ekman",
    ),
    Layout(
        "fer2013",
        "folders",
        fer2013_folders,
        {
            "train/angry/Training_1.jpg": ("angry", TRAIN, None),
            "test/Happy/PublicTest_2.jpg": ("happy", VALIDATION, None),
            "test/fear/PrivateTest_3.jpg": ("fear", TEST, None),
            "test/sad/im4.png": ("sad", TEST, None),
        },
        nestable=False,  # ids are places
    ),
    Layout(
        "fer2013",
        "pixels",
        fer2013_pixels,
        {
            "fer0000000": ("angry", TRAIN, None),
            "fer0000001": ("happy", VALIDATION, None),
            "fer0000002": ("neutral", TEST, None),
        },
        options={"images": "written"},
    ),
    Layout(
        "fer2013",
        "pixels with votes",
        fer2013_votes,
        {
            "fer0000000": ({"neutral": 4, "sadness": 1, "anger": 3, "disgust": 2}, TRAIN, None),
            "fer0000001": ({"NF": 10}, VALIDATION, None),
            "fer0000002": ({"happiness": 10}, TEST, None),
        },
        labelling="ferplus",
        options={"images": "written"},
    ),
    Layout(
        "affectnet",
        "tables",
        affectnet_tables,
        {"689/a.jpg": ("Happy", TRAIN, None), "12/b.png": ("No-Face", VALIDATION, None)},
    ),
    Layout(
        "affectnet",
        "arrays",
        affectnet_arrays,
        {"train/7": ("Contempt", TRAIN, None), "validation/7": ("Neutral", VALIDATION, None)},
    ),
    Layout(
        "raf-db",
        "its makers'",
        raf_db,
        {"train_00001": ("Sadness", TRAIN, None), "test_0001": ("Neutral", TEST, None)},
    ),
    Layout(
        "raf-db",
        "folders",
        raf_db_folders,
        {"train_00001": ("Surprise", TRAIN, None), "test_0001": ("Happiness", TEST, None)},
    ),
    Layout(
        "ck-plus",
        "its makers'",
        ck_plus,
        {
            "S005_001_00000003": ("disgust", TRAIN, "S005"),
            "S005_001_00000004": ("disgust", TRAIN, "S005"),
            "S005_001_00000005": ("disgust", TRAIN, "S005"),
            "S010_002_00000001": ("contempt", TRAIN, "S010"),
            "S010_002_00000002": ("contempt", TRAIN, "S010"),
        },
    ),
    Layout(
        "ck-plus",
        "peaks and neutral",
        ck_plus,
        {
            "S005_001_00000001": ("neutral", TRAIN, "S005"),
            "S005_001_00000005": ("disgust", TRAIN, "S005"),
            "S010_002_00000001": ("neutral", TRAIN, "S010"),
            "S010_002_00000002": ("contempt", TRAIN, "S010"),
        },
        options={"frames": "1", "neutral": "yes"},
    ),
    Layout(
        "ck-plus",
        "crops",
        ck48,
        {
            "S010_004_00000017": ("anger", TRAIN, "S010"),
            "S011_006_00000011": ("happy", TRAIN, "S011"),
        },
    ),
    Layout(
        "kdef",
        "its makers'",
        kdef,
        {"AF01ANS": ("angry", TRAIN, "F01"), "BM02SUHL": ("surprised", TRAIN, "M02")},
    ),
    Layout(
        "kdef",
        "folders",
        kdef_folders,
        {
            "angry/0_25": ("angry", TRAIN, "0"),
            "happy/0_25": ("happy", TRAIN, "0"),
            "sad/7_1": ("sad", TRAIN, "7"),
        },
    ),
    Layout(
        "groupemow",
        "folders",
        groupemow,
        {
            "train/Positive/1.jpg": ("positive", TRAIN, None),
            "val/Neutral/1.jpg": ("neutral", VALIDATION, None),
            "test/Negative/2.png": ("negative", TEST, None),
        },
        nestable=False,
    ),
    Layout(
        "groupemow",
        "named folders",
        groupemow_named,
        {
            "GroupEmoW_Train/Positive/1.jpg": ("positive", TRAIN, None),
            "GroupEmoW_Val/Negative/1.jpg": ("negative", VALIDATION, None),
        },
        nestable=False,
    ),
    Layout(
        "vgaf",
        "films",
        vgaf,
        {
            "train/1_1": ("positive", TRAIN, None),
            "train/1_2": ("negative", TRAIN, None),
            "validation/1_1": ("neutral", VALIDATION, None),
        },
    ),
    Layout(
        "vgaf",
        "other codes",
        vgaf,
        {
            "train/1_1": ("negative", TRAIN, None),
            "train/1_2": ("positive", TRAIN, None),
            "validation/1_1": ("neutral", VALIDATION, None),
        },
        options={"codes": "negative, neutral, positive"},
    ),
    Layout(
        "folder",
        "sounds",
        folder,
        {"train/joy/a.mp3": ("joy", TRAIN, None), "dev/sad/b.wav": ("sad", VALIDATION, None)},
        nestable=False,
    ),
    Layout(
        "folder",
        "without splits",
        folder_without_splits,
        {"joy/a.png": ("joy", TRAIN, None), "normal/b.jpg": ("normal", TRAIN, None)},
        nestable=False,
    ),
    Layout(
        "csv",
        "named columns",
        columns,
        {"pictures/a.png": ("joy", TRAIN, "Anna"), "pictures/b.png": ("sad", VALIDATION, "Ben")},
        options={"path": "file", "label": "what", "speaker": "who"},
        nestable=False,
    ),
    Layout(
        "csv",
        "votes on texts",
        votes,
        {"row-2": ({"happy": 3}, TRAIN, None), "row-3": ({"happy": 1, "sad": 4}, TEST, None)},
        options={"votes": "happy,sad"},
        nestable=False,
    ),
)
