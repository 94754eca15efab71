"""Gallery networks that come with cmpc, each trained on the data set it is named after.

    shipped/DATA/
      shipped.json             shape, recipe, and hashes of the classes and items it was trained on
      network.safetensors      weights; those of matrices and filters in float16
      classifier.safetensors   directions of the training classes, by their keys
      training.log             what its training told

packing.py   a trained gallery becomes such a folder, and such a folder a gallery again
"""
