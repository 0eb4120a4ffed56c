"""Nets for face: each name with the module and attribute of its `NetKind`."""

KINDS: dict[str, str] = {
    "cnn4": "cnn4:CNN4",
    "compact": "residual:COMPACT",
    "identity": "identity:IDENTITY",
    "mobilenet-v1": "mobilenet_v1:MOBILENET_V1",
    "mobilenet-v2": "mobilenet:MOBILENET_V2",
    "mobilenet-v3": "mobilenet:MOBILENET_V3",
    "resnet50": "resnet:RESNET50",
    "vgg16": "vgg:VGG16",
}
