"""How is a kernel run on a target? Tiles and loops: by rule, or as tuning found and kept them."""
