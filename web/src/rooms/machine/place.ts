// Where the boxes and lines of a topology lie.
import type { Drawing, Seat } from '../../lib/types';
import { rate } from '../../lib/units';

const STEP = 132;
const EDGE = 70;
export interface Card {
  kind: 'gpu' | 'nic';
  x: number;
  title: string;
  name: string;
  says: string;
  /** Of its slot, and what they carry. */
  lanes: string;
  carries: string;
}

const clip = (text: string, most: number) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const lanesOf = (seat: Seat) => (seat.lanes ? `x${seat.lanes} PCIe ${seat.gen}` : '');
const where = (seat: Seat) => (seat.chipset ? 'on the chipset' : seat.slot ? `slot ${seat.slot}` : '');

export function place(drawing: Drawing) {
  const seats: [Seat, 'gpu' | 'nic', number][] = [
    ...drawing.gpus.map((seat, i): [Seat, 'gpu', number] => [seat, 'gpu', i]),
    ...drawing.nics.map((seat, i): [Seat, 'nic', number] => [seat, 'nic', i]),
  ];
  seats.sort((a, b) => (a[0].socket ?? 0) - (b[0].socket ?? 0) || (a[0].switch ?? '').localeCompare(b[0].switch ?? '') || (a[0].slot ?? 0) - (b[0].slot ?? 0));
  const width = Math.max(2 * EDGE + (seats.length - 1) * STEP, drawing.sockets.length * 240, 420);
  const start = (width - (seats.length - 1) * STEP) / 2;
  const cpus = drawing.sockets.map((socket, i) => ({ x: (width / drawing.sockets.length) * (i + 0.5), title: clip(socket.name, 30), says: clip(socket.says, 34) }));
  const lines: { d: string; dashed: boolean }[] = cpus.slice(1).map((cpu, i) => ({ d: `M${cpus[i]!.x + 105} 31H${cpu.x - 105}`, dashed: false }));
  const switches: { x: number; wide: number; title: string }[] = [];
  const cards = seats.map(([seat, kind, i], place): Card => {
    const title = kind === 'gpu' ? `GPU ${i}` : 'network';
    const name = clip(seat.name.replace('GeForce ', ''), 17);
    return { kind, x: start + place * STEP, title, name, says: where(seat), lanes: lanesOf(seat), carries: seat.bytes_per_s ? rate(seat.bytes_per_s) : '' };
  });
  const under = (wanted: (seat: Seat) => boolean) => cards.filter((_, i) => wanted(seats[i]![0]));
  const groups = [...new Set(seats.map(([seat]) => seat.switch).filter(Boolean))];
  for (const name of groups) {
    const some = under((seat) => seat.switch === name);
    join(lines, switches, some, cpus[seats.find(([seat]) => seat.switch === name)![0].socket ?? 0]?.x ?? width / 2, 'PCIe switch');
  }
  if (drawing.modules) join(lines, switches, cards.filter((card) => card.kind === 'gpu'), cpus[0]?.x ?? width / 2, 'baseboard');
  seats.forEach(([seat, kind], i) => {
    if (seat.switch || (drawing.modules && kind === 'gpu')) return;
    const cpu = cpus[Math.min(seat.socket ?? 0, cpus.length - 1)];
    if (cpu) lines.push({ d: `M${cpu.x} 56V110H${cards[i]!.x}V222`, dashed: Boolean(seat.chipset) });
  });
  return { width, cpus, cards, switches, lines };
}

function join(lines: { d: string; dashed: boolean }[], switches: { x: number; wide: number; title: string }[], cards: Card[], cpu: number, title: string): void {
  if (!cards.length) return;
  const [first, last] = [cards[0]!.x, cards.at(-1)!.x];
  const x = (first + last) / 2;
  const wide = Math.max(104, title === 'baseboard' ? last - first + 108 : 104);
  switches.push({ x, wide, title });
  lines.push({ d: `M${cpu} 56V110H${x}V132`, dashed: false });
  for (const card of cards) lines.push({ d: title === 'baseboard' ? `M${card.x} 156V222` : `M${x} 156V186H${card.x}V222`, dashed: false });
}
