"""Channel attention: blocks that weigh the channels of an image by what the whole image shows, one file each."""
