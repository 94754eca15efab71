"""Large networks, run on images: one way of keeping them a file.

base.py           what they promise, and unit embeddings of many images
torch_network.py  a network that cmpc trained
onnx_network.py   a network of the user's own
"""
