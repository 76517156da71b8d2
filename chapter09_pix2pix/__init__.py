"""Chapter 9: pix2pix, image-to-image translation with a conditional GAN, and colouring."""
