"""The gallery networks: large ones, each a shape that gives a plan.

base.py         what a shape promises, and the network that comes of it
residual.py     residual networks, from a small one for 64 px up to ResNet-101
efficientnet.py EfficientNet-lite, with published weights
pretrained.py   weights that packages bring
whitening.py    a linear layer after the embedding, fitted once a network is trained
catalogue.py    their names
"""
