"""Chapter 6: face detection by MTCNN, face recognition by embeddings."""
