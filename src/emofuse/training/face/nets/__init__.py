"""Nets for faces.

VGG16, ResNet-50 and the MobileNets are written out here, as the encoders for speech and
text are in their folders, although torchvision, timm and transformers have them: torchvision
and timm are compiled for certain versions of torch and cannot be installed beside every one
that we support, CPU-only builds among them, and our nets need two halves (`embed`, `classify`)
that torch.export can trace. Weights published for those libraries still load (`pretrained`).
"""
