"""How good are embeddings at retrieval and verification?"""
