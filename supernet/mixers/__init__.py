"""Token mixers: what moves information between the tokens of an image or a text, one file each."""
