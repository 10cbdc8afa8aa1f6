// The picture that kernels are laid on: one that comes along, or one of the visitor's, made small enough to be sent.

export const SIDE = 256; // pixels of the longer side, as the picture that comes along has
const MOST = 220_000; // characters of base64 that the server takes

export interface Seen {
  image?: string;
  picture?: string;
}

class Own {
  /** The visitor's picture as base64 of a PNG; an address cannot hold it, so it is gone when the page is left. */
  png = $state('');
  name = $state('');

  /** Take a file: any picture that the browser reads becomes a PNG of at most SIDE pixels. Throws what it cannot read. */
  async take(file: File): Promise<void> {
    const read = await createImageBitmap(file);
    for (let side = SIDE; side >= 32; side = Math.round(side * 0.75)) {
      const png = await small(read, side);
      if (png.length <= MOST) {
        this.png = png;
        this.name = file.name;
        break;
      }
    }
    read.close();
  }
}

async function small(read: ImageBitmap, side: number): Promise<string> {
  const by = Math.min(1, side / Math.max(read.width, read.height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(read.width * by));
  canvas.height = Math.max(1, Math.round(read.height * by));
  const brush = canvas.getContext('2d')!;
  brush.fillStyle = 'white';
  brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.imageSmoothingQuality = 'high';
  brush.drawImage(read, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL('image/png').split(',')[1] ?? '';
}

export const own = new Own();

/** What a request says of the picture. */
export function image(said: Record<string, string>, png: string): Seen {
  if (said.image === 'own') return png ? { picture: png } : {};
  return said.image ? { image: said.image } : {};
}
